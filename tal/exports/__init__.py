"""Detections in the formats of other programs, one file each; the folder is the registry."""

from __future__ import annotations
