"""Types of the compiled roll-up; see native/fastflow/_rollup.pyx."""

from typing_extensions import Buffer, disjoint_base

from fastflow._core import Lexicon
from fastflow._tally import Run
from fastflow.native_types import RowField

def row_fields(grain: str) -> list[RowField]: ...
def echo_bins(
    slots: Buffer,
    sketches: Buffer,
    packets: Buffer,
    starts: Buffer,
    first_bins: Buffer,
    offsets: Buffer,
) -> tuple[bytes, bytes]: ...

@disjoint_base
class Rollup:
    def __new__(cls, grain: str, runs: list[Run]) -> Rollup: ...
    @property
    def lexicon(self) -> Lexicon: ...
    def fill(
        self,
        arena: Buffer,
        values: list[int],
        valid: list[int | None],
        rows: int,
    ) -> int: ...
    def countries(self) -> list[int]: ...
    def traffics(self) -> list[int]: ...
    def tools(self) -> list[int]: ...
