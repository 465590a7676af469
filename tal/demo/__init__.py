"""A small world of made-up videos, so that the whole pipeline can be tried without a data set.

`videos.render` writes videos, labels and ground truth; `figures` moves a person, `scenery` paints where it stands.
"""
