"""Composing one canvas: small grey glyphs on a textured ground, with the box of each one's visible ink.

Only integer arithmetic: fixed-point bilinear interpolation and rotations by rational angles (the half-angle
tangent n/m gives cosine (m^2 - n^2)/(m^2 + n^2) exactly), so that every machine makes the same bytes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.datasets.streams import Stream

SIDE = 192
"""Height and width of a canvas in pixels."""

SIZES_PX = (18, 72)
"""Smallest and largest height of a glyph's frame."""

_GLYPH = 8
_TANGENT_SCALE = 256
_MAX_TANGENT = 46
_TRIES = 12
_VISIBLE = 128
_PLACING_MARGIN = 2

Image = NDArray[np.uint8]
Plane = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One glyph on a canvas: which one, and the box of its ink in whole pixels."""

    glyph: int
    x: int
    y: int
    width: int
    height: int


def compose(stream: Stream, glyphs: NDArray[np.uint8]) -> tuple[Image, tuple[Placed, ...]]:
    """Compose one canvas with one to eight glyphs that never cover each other's ink.

    Args:
        stream: where every choice comes from.
        glyphs: (n, 8, 8), values 0..16.

    Returns:
        The canvas, (192, 192, 3) RGB, and what stands on it, at least one glyph.
    """
    canvas = _ground(stream)
    for _ in range(stream.integer(0, 6)):
        _stroke(stream, canvas)
    taken = np.zeros((SIDE, SIDE), dtype=bool)
    placed = [_place(stream, canvas, taken, glyphs) for _ in range(stream.integer(1, 8))]
    return np.clip(canvas, 0, 255).astype(np.uint8), tuple(one for one in placed if one is not None)


def _ground(stream: Stream) -> Plane:
    canvas = np.empty((SIDE, SIDE, 3), dtype=np.int64)
    canvas[:] = stream.integers(35, 220, (3,)) if stream.integer(0, 1) else stream.integer(35, 220)
    for coarse, fine, most in ((2, 5, 45), (6, 16, 30)):
        cells, swing = stream.integer(coarse, fine), stream.integer(0, most)
        canvas += _stretched(stream.integers(-swing, swing, (cells + 1, cells + 1, 3)))
    swing = stream.integer(0, 28)
    noise = stream.octets(SIDE * SIDE * 3).reshape(SIDE, SIDE, 3).astype(np.int64)
    canvas += ((noise - 128) * swing) >> 8
    return np.clip(canvas, 0, 255)


def _stretched(lattice: Plane) -> Plane:
    position = np.arange(SIDE, dtype=np.int64) * ((lattice.shape[0] - 1) * 256) // SIDE
    cell, part = position >> 8, position & 255
    rows = lattice[cell] * (256 - part)[:, None, None] + lattice[cell + 1] * part[:, None, None]
    part = part[None, :, None]
    return np.asarray((rows[:, cell] * (256 - part) + rows[:, cell + 1] * part) >> 16)


def _stroke(stream: Stream, canvas: Plane) -> None:
    x0, y0 = stream.integer(0, SIDE - 1), stream.integer(0, SIDE - 1)
    dx, dy = stream.integer(-80, 80), stream.integer(-80, 80)
    thick = stream.integer(1, 4)
    left, right = max(0, min(x0, x0 + dx) - 4), min(SIDE, max(x0, x0 + dx) + 5)
    top, bottom = max(0, min(y0, y0 + dy) - 4), min(SIDE, max(y0, y0 + dy) + 5)
    x = np.arange(left, right, dtype=np.int64)[None, :] - x0
    y = np.arange(top, bottom, dtype=np.int64)[:, None] - y0
    length = dx * dx + dy * dy
    along, across = x * dx + y * dy, x * dy - y * dx
    inside = (along >= 0) & (along <= length) & (4 * across * across <= thick * thick * length)
    canvas[top:bottom, left:right][inside] += stream.choice((-1, 1)) * stream.integer(30, 110)
    np.clip(canvas, 0, 255, out=canvas)


def _place(stream: Stream, canvas: Plane, taken: NDArray[np.bool_], glyphs: NDArray[np.uint8]) -> Placed | None:
    """Draw one glyph where no other one's ink is; None if twelve tries found no room."""
    index = stream.integer(0, len(glyphs) - 1)
    alpha = _ink(stream, glyphs[index])
    height, width = alpha.shape
    x, y = 0, 0
    for _ in range(_TRIES):
        x, y = stream.integer(0, SIDE - width), stream.integer(0, SIDE - height)
        if not taken[y : y + height, x : x + width][alpha > 0].any():
            break
    else:
        return None
    window = np.s_[y : y + height, x : x + width]
    canvas[window] += ((_colour(stream, canvas[window]) - canvas[window]) * alpha[:, :, None]) >> 8
    taken[window] |= alpha > 0
    rows, columns = np.nonzero(alpha >= _VISIBLE)
    return Placed(
        glyph=index,
        x=x + int(columns.min()),
        y=y + int(rows.min()),
        width=int(columns.max() - columns.min()) + 1,
        height=int(rows.max() - rows.min()) + 1,
    )


def _colour(stream: Stream, window: Plane) -> Plane:
    """Choose an ink that stands out from the mean of the ground beneath it, darker or lighter."""
    ground = window.sum(axis=(0, 1)) // (window.shape[0] * window.shape[1])
    level = int(ground.sum()) // 3
    sign = stream.choice((-1, 1))
    if (255 - level if sign > 0 else level) < 100:
        sign = -sign
    colour = ground + sign * stream.integer(60, 190) + stream.integers(-35, 35, (3,))
    return np.asarray(np.clip(colour, 0, 255))


def _ink(stream: Stream, glyph: NDArray[np.uint8]) -> Plane:
    """Return the glyph's opacity, 0..256, scaled, stretched and rotated, trimmed to where it is not 0."""
    height = stream.integer(*SIZES_PX)
    width = height * stream.integer(75, 125) // 100
    n, m = stream.integer(-_MAX_TANGENT, _MAX_TANGENT), _TANGENT_SCALE
    cosine, sine, unit = m * m - n * n, 2 * m * n, m * m + n * n
    reach_x = (width * cosine + height * abs(sine)) // unit + _PLACING_MARGIN
    reach_y = (height * cosine + width * abs(sine)) // unit + _PLACING_MARGIN
    u = 2 * np.arange(reach_x, dtype=np.int64)[None, :] + 1 - reach_x
    v = 2 * np.arange(reach_y, dtype=np.int64)[:, None] + 1 - reach_y
    texel = _GLYPH * 128
    gx = (u * cosine + v * sine) * texel // (unit * width) + texel - 128
    gy = (v * cosine - u * sine) * texel // (unit * height) + texel - 128
    value = _sampled(glyph, gx, gy)
    ramp = stream.integer(3, 9) << 16
    middle = 7 << 16
    alpha: Plane = np.asarray(np.clip((value - middle) * 256 // ramp + _VISIBLE, 0, 256))
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    return np.asarray(alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _sampled(glyph: NDArray[np.uint8], gx: Plane, gy: Plane) -> Plane:
    """Interpolate the glyph at 1/256 texel; beyond its frame it is 0. Values are scaled by 65536."""
    border = 3
    padded = np.zeros((_GLYPH + 2 * border, _GLYPH + 2 * border), dtype=np.int64)
    padded[border:-border, border:-border] = glyph
    limit = (_GLYPH + border - 1) * 256
    gx, gy = np.clip(gx, -2 * 256, limit - 256), np.clip(gy, -2 * 256, limit - 256)
    column, row = (gx >> 8) + border, (gy >> 8) + border
    px, py = gx & 255, gy & 255
    above = padded[row, column] * (256 - px) + padded[row, column + 1] * px
    below = padded[row + 1, column] * (256 - px) + padded[row + 1, column + 1] * px
    return np.asarray(above * (256 - py) + below * py)
