"""Timelines as pictures: lines of text for a terminal, and figures in the style of papers.

`rows` says what is drawn: one video as several methods see it. `clock` places the ticks of a time axis, `terminal`
returns lines of text, `paper` draws with Matplotlib, without `pyplot`. All draw `tal.timelines.Timeline`.
"""
