"""How values look where a notebook shows them: small pieces of HTML with inline SVG.

Nothing here runs or fetches anything: no scripts, no style sheets, no addresses, no fonts. Whatever comes from files is
escaped. Colours are readable on white and on black; text takes the colour of the page.

`timeline` draws one video, `table` a few rows, `stacked` puts pieces below each other. They know times and scores and
nothing of models, so that every layer above can use them.
"""

from tal.display.drawable import Detected, Drawable
from tal.display.lanes import timeline
from tal.display.tables import Cell, stacked, table

__all__ = ["Cell", "Detected", "Drawable", "stacked", "table", "timeline"]
