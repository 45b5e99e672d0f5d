"""Hourly series over `fastflow/ff_series.h`: many at a time, with the GIL released."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Floats: TypeAlias = npt.NDArray[np.float64]
_Ints: TypeAlias = npt.NDArray[np.int64]
_Small: TypeAlias = npt.NDArray[np.int32]

def fill(
    begins: _Ints,
    hours: _Small,
    counts: _Small,
    chosen: _Ints,
    edges: _Ints,
    most: _Floats,
    least_in_hour: float,
    values: _Floats,
) -> None:
    """Write series hour by hour, and draw them through stretches without them."""

def levels(counts: _Floats, weights: _Floats) -> _Floats:
    """Return the level of each day of one series: counts in an hour of weight 1."""

def rhythm(counts: _Floats, usual: _Floats, start: int) -> _Floats:
    """Return by what factors one series differs from what is usual, by hour."""

def expect(
    counts: _Floats,
    on_air: _Floats,
    shared: _Floats,
    start: int,
    clump: float,
    least: float,
    values: _Floats,
    weights: _Floats,
) -> None:
    """Write what series are expected to be, and their rhythm on the air."""

def may_rise(
    counts: _Floats,
    expected: _Floats,
    lengths: _Ints,
    least_factor: float,
    least: float,
    found: npt.NDArray[np.uint8],
) -> None:
    """Write which series have a stretch with a likelihood ratio above some."""
