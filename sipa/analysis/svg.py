"""A matplotlib figure as SVG inside a page: no ids that clash, no fonts to fetch, colours that follow the page.

Text is drawn as paths, so it looks the same everywhere; ink and series colours become CSS variables, so one figure
serves a light page, a dark one and paper.
"""

import io
import re
import warnings
from typing import TYPE_CHECKING

from sipa.analysis.style import INK, PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def inline_svg(figure: "Figure", key: str) -> str:
    """The figure as an `<svg>` element.

    Args:
        figure: drawn by `sipa.analysis.figures`.
        key: [a-z0-9-]+, another for every figure of a page: ids begin with it.
    """
    return _themed(_apart(_element(_drawn(figure, key)), key))


def _drawn(figure: "Figure", key: str) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": key}), warnings.catch_warnings():
        # A character that the font lacks is drawn as a box: no reason for noise on the terminal.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", dpi=200, transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _element(document: str) -> str:
    """Without the XML prologue, the metadata and the fixed size; the view box keeps the shape."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
    head, rest = element.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} aria-hidden="true" focusable="false">{rest}'


def _apart(element: str, key: str) -> str:
    element = re.sub(r'\bid="', f'id="{key}-', element)
    element = element.replace('href="#', f'href="#{key}-')
    return element.replace("url(#", f"url(#{key}-")


def _themed(element: str) -> str:
    element = re.sub(INK, "currentColor", element, flags=re.IGNORECASE)
    for place, colour in enumerate(PALETTE):
        element = re.sub(colour, f"var(--series-{place})", element, flags=re.IGNORECASE)
    return element
