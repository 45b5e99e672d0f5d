"""How alike are two pictures, to people who do not mind a letter's exact shape?"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

#: Pixels; letters are a few of them high, and lines can still be followed.
WIDTH = 240
#: So many pixels a picture may lie beside another.
_SHIFT = 2
#: Of `likeness`. Another font, or another version of Vega, stays above; a line that is
#: missing, or goes elsewhere, does not.
ALIKE = 0.9

KEPT = Path(__file__).parent / "browser" / "pictures"
#: FASTFLOW_KEEP_PICTURES=1 keeps what is drawn now, to be looked at and committed.
KEEPS = os.environ.get("FASTFLOW_KEEP_PICTURES", "") == "1"


def small(png: bytes) -> np.ndarray:
    """Return a picture in grey, from 0 to 1, WIDTH pixels wide."""
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    with image.open(io.BytesIO(png)) as picture:
        grey = picture.convert("L")
        height = round(grey.height * WIDTH / grey.width)
        return np.asarray(grey.resize((WIDTH, height), image.Resampling.BOX)) / 255


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest structural similarity, 1 for the same picture.

    One of them may be shifted a little: wider letters beside an axis do so.
    """
    if min(len(one), len(other)) < 0.9 * max(len(one), len(other)):
        return 0.0
    shifts = range(-_SHIFT, _SHIFT + 1)
    height = min(len(one), len(other)) - _SHIFT
    middle = one[_SHIFT:height, _SHIFT : WIDTH - _SHIFT]
    return max(
        _similarity(
            middle,
            other[
                _SHIFT + down : height + down, _SHIFT + right : WIDTH - _SHIFT + right
            ],
        )
        for down in shifts
        for right in shifts
    )


def _similarity(x: np.ndarray, y: np.ndarray) -> float:
    """Return the structural similarity.

    After Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error
    visibility to structural similarity" (2004).
    """

    def mean(z: np.ndarray) -> np.ndarray:
        return gaussian_filter(z, 1.5)

    mx, my = mean(x), mean(y)
    vx, vy = mean(x * x) - mx * mx, mean(y * y) - my * my
    covariance = mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    ratio = (2 * mx * my + c1) * (2 * covariance + c2)
    return float((ratio / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def check_picture(name: str, png: bytes) -> None:
    """Fail where a picture is not like the one that is kept under this name."""
    path = KEPT / f"{name}.png"
    picture = small(png)
    if KEEPS:
        from PIL import Image

        grey = Image.fromarray(np.round(picture * 255).astype(np.uint8))
        grey.save(path, optimize=True)
    alike = likeness(picture, small(path.read_bytes()))
    assert alike >= ALIKE, f"{path}: likeness {alike:.3f}"
