"""One HTML file that shows detections, curves and scores; it opens from disk with no network.

`render` streams the file, one video at a time. The page is an app with hash routes: ``#/`` is the overview of the data
set, ``#/video/NAME`` (percent-encoded) a video's page; a page of one video without an overview opens there at once.

Data lie in ``<script type="application/json">`` elements in which ``<``, ``>``, ``&``, U+2028 and U+2029 are escaped,
so that no name or label can end them. Each video has its own, which is parsed when its page is opened. A content
security policy lets only the page's own scripts run, told by their hashes, and nothing be fetched from a network:
assets must not use ``on...`` attributes, ``eval`` or addresses; texts are set through ``textContent``.

What ``assets/dataset.js`` offers: ``window.talOverview(element, data, overview)`` fills `element` (empty, a ``div``)
with the overview and may return a function that is called when the reader leaves it. `overview` is `Page.overview`, or
null. `data` is::

    {"title": str, "version": str,
     "videos": [{"name": str, "href": "#/video/...", "duration_s": float, "n_detections": int,
                 "n_truth": int | null,      # null: there is no truth for it
                 "best": float | null,       # best score
                 "labels": [str, ...],       # those with the best detection first
                 "reason": str}, ...]}       # why there are no detections

Scripts find ``window.uPlot`` (1.6.32) and ``window.tal``: ``tal.el(tag, attributes, ...children)`` makes an element
(texts become text nodes), ``tal.clock(seconds)`` is ``1:02.3``, ``tal.score(x)`` a score, ``tal.href(name)`` a link to
a video's page, ``tal.css(name)`` the value of a CSS variable, ``tal.colour(i)`` the i-th series colour,
``tal.onTheme(f)`` calls f when light and dark change and returns what ends that, ``tal.say(text)`` tells a screen
reader.

Style: ``assets/base.css`` defines variables: ``--bg --surface --raised --line --text --muted --accent --on-accent
--detection --truth --attention --warn --good --series-1 ... --series-8 --radius --mono`` and the classes ``card``,
``button``, ``chip``, ``field``, ``muted``, ``number``, ``visually-hidden``. ``assets/dataset.css`` comes after it.
"""

from __future__ import annotations

from tal.report.media import Media
from tal.report.page import Page, render, write

__all__ = ["Media", "Page", "render", "write"]
