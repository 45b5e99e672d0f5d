"""Whatever is compressed, in whatever units and read in whatever steps, comes out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow.sources.decoders import MAGIC_BYTES
from packers import PACKERS, Pipe, skippable, unpack

#: Noise, and what compresses far below a byte per byte.
contents = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda data, n: data * n, st.binary(max_size=30), st.integers(0, 3000)),
)
every_format = pytest.mark.parametrize("name", PACKERS)


@every_format
@settings(deadline=None)
@given(st.lists(contents, min_size=1, max_size=5), st.data())
def test_units_come_out_as_they_went_in(
    name: str, parts: list[bytes], choices: st.DataObject
) -> None:
    packed = b""
    for part in parts:
        if name in ("zstd", "lz4") and choices.draw(st.booleans()):
            packed += skippable(choices.draw(st.binary(max_size=50)))
        packed += PACKERS[name](part)
    steps = st.integers(1, 5000)
    whole = (b"".join(parts), None, {})
    assert unpack(packed, choices.draw(steps)) == whole
    assert unpack(Pipe(packed, choices.draw(steps)), choices.draw(steps)) == whole


@every_format
@settings(deadline=None)
@given(contents, st.binary(max_size=200), st.data())
def test_anything_may_be_written_over_anything(
    name: str, content: bytes, noise: bytes, choices: st.DataObject
) -> None:
    """It ends, with all that precedes it."""
    packed = PACKERS[name](content)
    at = choices.draw(st.integers(MAGIC_BYTES, len(packed)))
    n_kept = choices.draw(st.integers(at, len(packed)))
    data, fault, _ = unpack(packed[:at] + noise + packed[n_kept:])
    assert fault is not None or data == content
    assert data.startswith(unpack(packed[:at])[0])
