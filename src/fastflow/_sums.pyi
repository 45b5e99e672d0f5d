"""Rows to cells, cells to series of slices; see native/fastflow/_sums.pyx."""

from collections.abc import Sequence
from typing import final

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]
_Small = npt.NDArray[np.int32]

def codes(numbers: _Ints) -> tuple[_Ints, _Small]: ...
def by_block(
    places: _Small,
    numbers: _Small,
    n_numbers: int,
    hours: _Small,
    n_hours: int,
    block_hours: int,
    packets: _Ints,
) -> _Ints: ...
def cells(
    columns: Sequence[tuple[_Small, _Small, npt.NDArray[np.uint32], int]],
    hours: _Small,
    n_hours: int,
    packets: _Ints,
    sources: _Ints,
) -> tuple[_Ints, _Ints]: ...

@final
class Slices:
    def __new__(cls, hours: _Small, sums: _Ints) -> Slices: ...
    def find(
        self,
        digits: Sequence[tuple[_Small, int]],
        wider: Sequence[_Small],
        least_in_hour: float,
        least_in_all: float,
    ) -> tuple[_Ints, _Ints, _Small, _Ints, _Ints, _Small]: ...
