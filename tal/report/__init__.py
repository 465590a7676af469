"""One HTML file that shows detections, curves and scores; it opens from disk with no network."""

from __future__ import annotations
