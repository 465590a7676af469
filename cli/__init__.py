"""The command line: thin commands over `tal.pipeline`, and the one place where errors become lines."""
