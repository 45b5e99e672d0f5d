"""Prefix table over `fastflow/ff_lpm.h`: country codes of addresses, in batches."""

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastflow._c_lpm cimport (
    FF_LPM_ADDRESS_BYTES,
    FF_LPM_INDEX_ENTRIES,
    ff_lpm,
    ff_lpm_index_v4,
    ff_lpm_lookup_batch,
    ff_lpm_v6_is_sorted,
)

import numpy as np


@cython.final
cdef class PrefixTable:
    """Immutable table from IPv4 and IPv6 addresses to 16-bit codes.

    Parameters
    ----------
    v4_starts : ndarray of uint32, shape (n,)
        First address of each IPv4 range, strictly ascending. A range ends where the
        next one begins; what lies before the first has code 0.
    v4_codes : ndarray of uint16, shape (n,)
    v6_starts : ndarray of uint64, shape (m, 2)
        The same for IPv6, as (high half, low half).
    v6_codes : ndarray of uint16, shape (m,)

    Raises
    ------
    ValueError
        The starts do not ascend strictly, or the arrays do not fit together.

    Notes
    -----
    The arrays are copied. Any number of threads may look up at the same time.
    """

    cdef ff_lpm table
    cdef const uint32_t[::1] v4_starts
    cdef const uint16_t[::1] v4_codes
    cdef const uint32_t[::1] v4_index
    cdef const uint64_t[:, ::1] v6_starts
    cdef const uint16_t[::1] v6_codes

    def __cinit__(self, v4_starts, v4_codes, v6_starts, v6_codes):
        self.v4_starts = _private(v4_starts, np.uint32)
        self.v4_codes = _private(v4_codes, np.uint16)
        self.v6_starts = _private(v6_starts, np.uint64)
        self.v6_codes = _private(v6_codes, np.uint16)
        if self.v4_starts.shape[0] != self.v4_codes.shape[0]:
            raise ValueError("v4_starts and v4_codes differ in length")
        if self.v6_starts.shape[0] != self.v6_codes.shape[0]:
            raise ValueError("v6_starts and v6_codes differ in length")
        if self.v6_starts.shape[1] != 2:
            raise ValueError("v6_starts must have two columns: high half, low half")
        self._bind_v4()
        self._bind_v6()

    cdef int _bind_v4(self) except -1:
        """Point the native table at the IPv4 arrays, and index them."""
        cdef uint32_t[::1] index = np.empty(FF_LPM_INDEX_ENTRIES, np.uint32)
        self.table.n_v4 = <size_t>self.v4_starts.shape[0]
        if self.table.n_v4 > 0:
            self.table.v4_starts = &self.v4_starts[0]
            self.table.v4_codes = &self.v4_codes[0]
        if not ff_lpm_index_v4(self.table.v4_starts, self.table.n_v4, &index[0]):
            raise ValueError("v4_starts must ascend strictly")
        self.v4_index = index
        self.table.v4_index = &self.v4_index[0]
        return 0

    cdef int _bind_v6(self) except -1:
        """Point the native table at the IPv6 arrays."""
        self.table.n_v6 = <size_t>self.v6_starts.shape[0]
        if self.table.n_v6 > 0:
            self.table.v6_starts = &self.v6_starts[0, 0]
            self.table.v6_codes = &self.v6_codes[0]
        if not ff_lpm_v6_is_sorted(self.table.v6_starts, self.table.n_v6):
            raise ValueError("v6_starts must ascend strictly")
        return 0

    def lookup(self, addresses, ip_versions):
        """Look addresses up, with the GIL released.

        Parameters
        ----------
        addresses : bytes-like, n * 16 bytes, C-contiguous
            Network order, IPv4 as ::ffff:a.b.c.d. Borrowed for the call.
        ip_versions : bytes-like, n bytes, C-contiguous
            4 or 6 chooses the table; any other number gives code 0.

        Returns
        -------
        ndarray of uint16, shape (n,)

        Raises
        ------
        ValueError
            The buffers do not fit together.
        """
        cdef const uint8_t[::1] versions = _as_bytes(ip_versions)
        cdef const uint8_t[::1] raw = _as_bytes(addresses)
        cdef size_t n = <size_t>versions.shape[0]
        if <size_t>raw.shape[0] != n * FF_LPM_ADDRESS_BYTES:
            raise ValueError(
                f"{raw.shape[0]} bytes of addresses for {n} versions: 16 each expected"
            )
        codes = np.empty(n, np.uint16)
        if n == 0:
            return codes
        cdef uint16_t[::1] out = codes
        with nogil:
            ff_lpm_lookup_batch(&self.table, &raw[0], &versions[0], n, &out[0])
        return codes


def _private(array, dtype):
    """Copy an array, so that nobody can change it; its type must be right already."""
    array = np.asarray(array)
    if array.dtype != dtype:
        raise ValueError(f"expected {np.dtype(dtype)}, got {array.dtype}")
    return np.array(array, order="C", copy=True)


def _as_bytes(buffer):
    """Borrow a buffer of any format and shape as plain bytes."""
    view = memoryview(buffer)
    # memoryview.cast refuses shapes with a zero in them.
    return view.cast("B") if view.nbytes else memoryview(b"")
