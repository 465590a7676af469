"""The methods: this folder is the registry.

A module here defines ``Config`` (the paper's hyper-parameters) and ``Network`` (a `tal.methods._base.Method`). A new
method is one file here and one YAML under ``configs/methods``; nothing else names it.
"""
