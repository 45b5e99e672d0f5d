"""Columns that rows of all tables have, made without a loop over rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

#: Rows of a batch, unless fewer are wanted.
BATCH_ROWS = 1 << 18

_ADDRESS_BYTES = 16


def _offsets(n_addresses: int) -> npt.NDArray[np.int32]:
    return np.arange(n_addresses + 1, dtype=np.int32) * np.int32(_ADDRESS_BYTES)


#: For columns that are the same in all rows, and addresses, which are equally long.
_ZEROS = pa.array(np.zeros(BATCH_ROWS, np.int32))
_OFFSETS = _offsets(BATCH_ROWS)


def constant(text: pa.Array, n_rows: int) -> pa.Array:
    """Return a column that has the one text in every row."""
    if n_rows <= len(_ZEROS):
        codes = _ZEROS.slice(0, n_rows)
    else:
        codes = pa.array(np.zeros(n_rows, np.int32))
    return pa.DictionaryArray.from_arrays(codes, text, safe=False)


def what_occurs(texts: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return texts with a dictionary of those that occur, by first appearance."""
    codes = pc.dictionary_encode(texts.indices)
    return pa.DictionaryArray.from_arrays(
        codes.indices, texts.dictionary.take(codes.dictionary)
    )


def of_any_length(addresses: pa.Array) -> pa.Array:
    """Return addresses as binary values, copying nothing."""
    n = len(addresses)
    offsets = _OFFSETS[: n + 1] if n < len(_OFFSETS) else _offsets(n)
    values = addresses.buffers()[1]
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(offsets), values])
