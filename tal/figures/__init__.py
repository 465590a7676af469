"""Timelines as pictures, for papers."""

from __future__ import annotations
