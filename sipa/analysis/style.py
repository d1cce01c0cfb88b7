"""How figures look: colours, markers, sizes. The palette is Okabe and Ito's, which colour-blind people tell apart.

Without its yellow, too pale on paper, and its black, which belongs to the page. Levels differ by marker too.
"""

from typing import Any

INK = "#23272f"
"""Axes and text; on a page it becomes the page's own ink."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7f7f7f")
DARK_PALETTE = ("#4aa8e0", "#f08a4b", "#2fc79a", "#dd9cc0", "#f2b632", "#8fd0f7", "#c4a46a", "#a6a6a6")
"""The same hues on a dark page."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "*", "h", "<")

WIDTH_IN, HEIGHT_IN = 4.6, 3.5
"""A column and a half of a paper; on a telephone the text is still 8 points."""

RC: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.usetex": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "axes.facecolor": "none",
    "lines.linewidth": 1.0,
    "path.simplify": True,
}


def colour(series: int) -> str:
    """The colour of a level."""
    return PALETTE[series % len(PALETTE)]


def marker(series: int) -> str:
    """The marker of a level: 8 colours and 11 markers repeat as a pair only after 88 levels."""
    return MARKERS[series % len(MARKERS)]


def plain(label: object, longest: int = 30) -> str:
    """A label that matplotlib takes literally: one line, no mathematics, not too long.

    Names are untrusted and matplotlib would parse what stands between dollar signs.
    """
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in str(label)).split())
    if len(text) > longest:
        text = f"{text[: longest // 3]}…{text[-(longest - longest // 3 - 1) :]}"
    return text.replace("$", r"\$")
