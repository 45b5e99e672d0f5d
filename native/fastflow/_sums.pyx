"""Rows added up to cells, and these to series of slices: a driver over native/include.

As in _core.pyx: checks of arguments, memory, the GIL, and nothing of events.
"""

cimport cython
from libc.stddef cimport size_t
from libc.stdint cimport (
    INT32_MAX, INT64_MAX, UINT64_MAX, int32_t, int64_t, uint32_t,
)

import os

from fastflow._c_sums cimport (
    FF_SLICES_WIDER,
    FF_SUMS_COLUMNS,
    ff_codes,
    ff_codes_add,
    ff_codes_rehash,
    ff_slices,
    ff_slices_entry,
    ff_slices_find,
    ff_sums,
    ff_sums_add,
    ff_sums_are_below,
    ff_sums_by_block,
    ff_sums_cell,
    ff_sums_column,
    ff_sums_end,
    ff_sums_order,
    ff_sums_rehash,
)

import numpy as np

cdef enum:
    FIRST_SLOTS = 1 << 14
    GROWTH = 4  # of slots, when half of them are used


cdef const int32_t *_below(
    const int32_t[::1] numbers, int32_t n, str what
) except? NULL:
    """Return where numbers begin, all of which are from 0 on, below n."""
    cdef size_t n_numbers = numbers.shape[0]
    cdef bint is_sound
    if n_numbers == 0:
        return NULL
    with nogil:
        is_sound = ff_sums_are_below(&numbers[0], n_numbers, n)
    if not is_sound:
        raise ValueError(f"{what} are not from 0 on, below {n}")
    return &numbers[0]


def codes(const int64_t[::1] numbers not None):
    """Number the values of whole numbers, in the order in which they are met.

    Returns
    -------
    values : ndarray of int64
        Each once.
    places : ndarray of int32
        Of each number, in `values`.

    Raises
    ------
    ValueError
        There are too many numbers.
    """
    cdef size_t n = numbers.shape[0], n_done = 0
    if n > INT32_MAX:
        raise ValueError("too many numbers at a time")
    # What no value lies in is never touched, and takes no memory.
    room, found = np.empty(n, np.int64), np.empty(n, np.int32)
    cdef int64_t[::1] values = room
    cdef int32_t[::1] places = found
    cdef uint32_t[::1] slots
    cdef ff_codes made
    made.seed = int.from_bytes(os.urandom(8))
    made.n_values = 0
    made.n_slots = FIRST_SLOTS
    if n:
        made.values = &values[0]
    while n_done < n:
        slots = np.zeros(made.n_slots, np.uint32)
        made.slots = &slots[0]
        with nogil:
            ff_codes_rehash(&made)
            n_done = ff_codes_add(&made, &numbers[0], n, n_done, &places[0])
        made.n_slots *= GROWTH
    return room[:made.n_values].copy(), found


def by_block(
    const int32_t[::1] places not None,
    const int32_t[::1] numbers not None,
    int32_t n_numbers,
    const int32_t[::1] hours not None,
    int32_t n_hours,
    int32_t block_hours,
    const int64_t[::1] packets not None,
):
    """Add up packets by blocks of hours, and numbers that values stand for.

    Parameters
    ----------
    places : int32
        Of each row's value in `numbers`.
    numbers : int32
        From 0 on, below `n_numbers`.
    hours : int32
        Of each row, from 0 on, below `n_hours`.
    packets : int64
        Of each row. Their sum is below 2^63.

    Returns
    -------
    ndarray of int64, shape (blocks, n_numbers)

    Raises
    ------
    ValueError
        The arrays do not fit together.
    """
    cdef size_t n_rows = places.shape[0]
    if n_numbers < 0 or n_hours < 1 or block_hours < 1:
        raise ValueError("hours and blocks have a length")
    if hours.shape[0] != places.shape[0] or packets.shape[0] != places.shape[0]:
        raise ValueError("columns of rows differ in length")
    cdef const int32_t *at = _below(places, numbers.shape[0], "places")
    cdef const int32_t *of_value = _below(numbers, n_numbers, "numbers")
    cdef const int32_t *hour = _below(hours, n_hours, "hours")
    found = np.zeros((-(-n_hours // block_hours), n_numbers), np.int64)
    cdef int64_t[:, ::1] sums = found
    cdef int64_t[::1] starts = np.arange(n_hours) // block_hours * n_numbers
    if n_rows:
        with nogil:
            ff_sums_by_block(
                at, of_value, hour, &starts[0], &packets[0], n_rows, &sums[0, 0]
            )
    return found


cdef int _add_columns(ff_sums *sums, columns) except -1:
    """Point at columns, and prove that their places and numbers are sound."""
    cdef const int32_t[::1] places, numbers
    cdef const uint32_t[::1] rollups
    cdef ff_sums_column *column
    most = UINT64_MAX
    for column_places, column_numbers, column_rollups, n_numbers in columns:
        places, numbers, rollups = column_places, column_numbers, column_rollups
        if <size_t> places.shape[0] != sums.n_rows:
            raise ValueError("columns of rows differ in length")
        if numbers.shape[0] != rollups.shape[0]:
            raise ValueError("columns of values differ in length")
        if sums.n_columns == FF_SUMS_COLUMNS:
            raise ValueError("too many columns")
        most //= max(1, n_numbers)
        column = &sums.columns[sums.n_columns]
        column.places = _below(places, numbers.shape[0], "places")
        column.numbers = _below(numbers, n_numbers, "numbers")
        column.rollups = &rollups[0] if rollups.shape[0] else NULL
        column.n_numbers = n_numbers
        sums.n_columns += 1
    if most < 1:
        raise ValueError("too many different rows for numbers of 64 bits")
    return 0


cdef int _add_rows(ff_sums *sums, row_cells) except -1:
    """Add up all rows, with more slots whenever half of them are used."""
    cdef unsigned char[::1] cells = row_cells
    cdef uint32_t[::1] rows = np.empty(sums.n_rows, np.uint32)
    cdef size_t[::1] begins = np.zeros(sums.n_hours, np.uintp)
    cdef uint32_t[::1] slots
    cdef size_t n_taken = 0
    sums.cells = <ff_sums_cell *> &cells[0]
    sums.rows = &rows[0]
    sums.n_slots = FIRST_SLOTS
    with nogil:
        ff_sums_order(sums, &begins[0])
    while n_taken < sums.n_rows:
        slots = np.zeros(sums.n_slots, np.uint32)
        sums.slots = &slots[0]
        with nogil:
            ff_sums_rehash(sums)
            n_taken = ff_sums_add(sums, n_taken)
        sums.n_slots *= GROWTH
    return 0


def cells(
    columns not None,
    const int32_t[::1] hours not None,
    int32_t n_hours,
    const int64_t[::1] packets not None,
    const int64_t[::1] sources not None,
):
    """Add up rows that agree in the numbers of all columns and in the hour.

    Parameters
    ----------
    columns : sequence of (places, numbers, rollups, n_numbers)
        Of each row its value's place (int32) in two tables: the number it is told apart
        by (int32, below `n_numbers`), and the roll-ups that it may be in, a bit each
        (uint32). A row is left out for which no roll-up is common to all columns.
    hours : int32
        Of each row, from 0 on, below `n_hours`.
    packets, sources : int64
        Of each row. Sums are below 2^63.

    Returns
    -------
    firsts : ndarray of int64
        The first row of each cell, in the order of hours.
    sums : ndarray of int64, shape (cells, 2)
        Packets and sources.

    Raises
    ------
    ValueError
        The arrays do not fit together, or there are over 2^64 different rows.
    """
    cdef ff_sums sums
    sums.n_rows = packets.shape[0]
    sums.n_hours = n_hours
    sums.n_columns = sums.n_cells = sums.n_before = 0
    sums.hour = -1
    sums.seed = int.from_bytes(os.urandom(8))
    if n_hours < 1 or not hours.shape[0] == packets.shape[0] == sources.shape[0]:
        raise ValueError("columns of rows differ in length, or there are no hours")
    if sums.n_rows > INT32_MAX:
        raise ValueError("too many rows at a time")
    sums.hours = _below(hours, n_hours, "hours")
    _add_columns(&sums, columns)
    # What no cell lies in is never touched, and takes no memory.
    room = np.empty(sums.n_rows * sizeof(ff_sums_cell), np.uint8)
    if sums.n_rows:
        sums.packets = &packets[0]
        sums.sources = &sources[0]
        _add_rows(&sums, room)
    firsts = np.empty(sums.n_cells, np.int64)
    found = np.empty((sums.n_cells, 2), np.int64)
    cdef int64_t[::1] row = firsts
    cdef int64_t[:, ::1] both = found
    if sums.n_cells:
        with nogil:
            ff_sums_end(&sums, &row[0], &both[0, 0])
    return firsts, found


@cython.final
cdef class Slices:
    """Cells, and the series of slices that they are added up to.

    Parameters
    ----------
    hours : int32
        Of each cell, in order.
    sums : int64, shape (cells, 2)
        Packets and sources of each. All together are below 2^63.

    Raises
    ------
    ValueError
        The arrays do not fit together.

    Notes
    -----
    Not for several threads at a time: scratch is kept.
    """

    cdef ff_slices slices
    cdef tuple given  # borrowed as long as this lives
    cdef object entries, codes, lengths, hours, packets, sources

    def __cinit__(
        self,
        const int32_t[::1] hours not None,
        const int64_t[:, ::1] sums not None,
    ):
        if hours.shape[0] != sums.shape[0] or sums.shape[1] != 2:
            raise ValueError("columns of cells differ in length, or have not two sums")
        if hours.shape[0] > INT32_MAX:
            raise ValueError("too many cells at a time")
        self.given = hours, sums
        self.slices.n_cells = hours.shape[0]
        if self.slices.n_cells:
            self.slices.hours = &hours[0]
            self.slices.sums = &sums[0, 0]
            self.allocate()

    cdef int allocate(self) except -1:
        """Make room for each cell."""
        cdef size_t n = self.slices.n_cells
        cdef unsigned char[:, ::1] entries
        cdef int64_t[::1] codes, lengths, packets, sources
        cdef int32_t[::1] hours
        entries = self.entries = np.empty((2, n * sizeof(ff_slices_entry)), np.uint8)
        codes = self.codes = np.empty(n, np.int64)
        lengths = self.lengths = np.empty(n, np.int64)
        hours = self.hours = np.empty(n, np.int32)
        packets = self.packets = np.empty(n, np.int64)
        sources = self.sources = np.empty(n, np.int64)
        self.slices.entries = <ff_slices_entry *> &entries[0, 0]
        self.slices.spare = <ff_slices_entry *> &entries[1, 0]
        self.slices.codes = &codes[0]
        self.slices.lengths = &lengths[0]
        self.slices.series_hours = &hours[0]
        self.slices.series_packets = &packets[0]
        self.slices.series_sources = &sources[0]
        return 0

    def find(self, digits, wider, double least_in_hour, double least_in_all):
        """Find slices with enough packets in some hour, or in all.

        Parameters
        ----------
        digits : sequence of (of_cell, n)
            What slices are told apart by: of each cell, from 1 on, up to n (int32); 0
            where it is in no slice.
        wider : sequence of int32
            Of each cell, 0 where it is in no slice for another reason.

        Returns
        -------
        codes, lengths : ndarrays of int64
            Of each slice: its numbers less 1 as digits of one, ascending, and how many
            hours it has.
        hours, packets, sources : ndarrays of int32, int64, int64
            Of each hour of each slice, in order.
        of_cell : ndarray of int32
            The slice of each cell, from 1 on; 0: none.

        Raises
        ------
        ValueError
            The arrays do not fit together, or there are over 2^63 codes.
        """
        cdef ff_slices *s = &self.slices
        cdef const int32_t[::1] numbers
        cdef int32_t[::1] of_cell
        most = INT64_MAX
        s.n_wider = 0
        s.n_digits = len(digits)
        s.n_slices = s.n_series = 0
        s.least_in_hour, s.least_in_all = least_in_hour, least_in_all
        for array, n in [*digits, *((one, 0) for one in wider)]:
            numbers = array
            if <size_t> numbers.shape[0] != s.n_cells:
                raise ValueError("columns of cells differ in length")
            if s.n_wider == FF_SLICES_WIDER:
                raise ValueError("too many columns")
            if s.n_wider < s.n_digits:
                most //= max(1, n)
            if s.n_cells:
                s.wider[s.n_wider] = &numbers[0]
            s.n_wider_slices[s.n_wider] = n
            s.n_wider += 1
        if most < 1:
            raise ValueError("too many slices for numbers of 64 bits")
        found = np.zeros(s.n_cells, np.int32)
        if s.n_cells:
            of_cell = found
            s.of_cell = &of_cell[0]
            with nogil:
                ff_slices_find(s)
        return (
            *(_copy(one, s.n_slices, np.int64) for one in (self.codes, self.lengths)),
            _copy(self.hours, s.n_series, np.int32),
            *(_copy(one, s.n_series, np.int64) for one in (self.packets, self.sources)),
            found,
        )


def _copy(room, n, dtype):
    """Return the first n elements; no room was made where there are none."""
    return np.empty(0, dtype) if room is None else room[:n].copy()
