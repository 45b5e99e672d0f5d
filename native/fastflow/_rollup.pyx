"""The roll-up of a tally's runs to rows: a driver over native/include.

As in _core.pyx: checks of arguments, memory, the GIL, and nothing of protocols.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport (
    INT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)
from libc.stdlib cimport calloc, free
from libc.string cimport memset

import os

from fastflow._c cimport (
    FF_CHUNK_ROWS,
    FF_ECHO_SKETCHES,
    FF_ECHO_SKETCH_WORDS,
    FF_GRAIN_COUNTS,
    FF_GRAIN_ECHOES,
    FF_GRAIN_SOURCES,
    FF_MANY_COUNTRIES,
    FF_MANY_TOOLS,
    FF_MANY_TRAFFICS,
    FF_MAX_ROW_FIELDS,
    FF_ROLLED_END,
    FF_ROLLED_FULL,
    FF_ROLLED_OUT,
    aligned_alloc,
    ff_cell,
    ff_cursor,
    ff_echo_hour,
    ff_echo_hour_end,
    ff_echo_hour_take,
    ff_grain,
    ff_kinds_adopt,
    ff_lexicon,
    ff_numbers,
    ff_rolled,
    ff_rollup,
    ff_rollup_add,
    ff_rollup_begin,
    ff_rollup_begin_batch,
    ff_rollup_brought,
    ff_rollup_fill,
    ff_row_field,
    ff_row_fields,
    ff_run_translate,
    ff_sketch_bins,
)
from fastflow._core cimport Lexicon, dict_name
from fastflow._tally cimport Run, cells_place, rank_kinds, read_cells

cdef enum:
    BROUGHT_CELLS = 1024  # of a run, brought to its cursor at a time


cdef ff_grain _grain(str name) except *:
    if name == "sources":
        return FF_GRAIN_SOURCES
    if name == "counts":
        return FF_GRAIN_COUNTS
    if name == "echoes":
        return FF_GRAIN_ECHOES
    raise ValueError(f"no grain is called {name!r}")


def row_fields(str grain not None):
    """Return a dict per column that a roll-up to a grain fills."""
    cdef size_t i, n
    cdef const ff_row_field *table = ff_row_fields(_grain(grain), &n)
    return [
        {
            "name": table[i].name.decode(),
            "arrow": table[i].arrow.decode(),
            "width_bytes": table[i].width_bytes,
            "dictionary": dict_name(table[i].dict),
            "nullable": bool(table[i].is_nullable),
        }
        for i in range(n)
    ]


cdef int _init_numbers(ff_numbers *numbers, size_t n) except -1:
    numbers.codes = <uint32_t *> calloc(n, sizeof(uint32_t))
    numbers.numbers = <uint16_t *> calloc(n, sizeof(uint16_t))
    if numbers.codes == NULL or numbers.numbers == NULL:
        raise MemoryError
    return 0


cdef void _free_numbers(ff_numbers *numbers) noexcept:
    free(numbers.codes)
    free(numbers.numbers)


cdef list _numbers(const ff_numbers *numbers):
    cdef uint32_t i
    return [numbers.numbers[i] for i in range(numbers.n)]


cdef class Rollup:
    """The rows of runs at one grain, in their order, a batch at a time.

    Parameters
    ----------
    grain : {"sources", "counts", "echoes"}
        The last are what the table `backscatter` is made of: rows of a victim's hour,
        by slot. Slots 0 and 1 are sketches of half an hour, with a bit for each of 180
        bins of ten seconds; 2 to 361 are bins, 65536 and above ports.
    runs : list[Run]
        Of any number of tallies; merged.
    """

    cdef list runs  # those with cells; kept until they are read to their end
    cdef const cells_place **places  # of their cells
    cdef ff_rollup *rollup
    cdef ff_cell *brought  # BROUGHT_CELLS for each run; the cursors point there
    cdef uint32_t *kinds_ranks
    cdef uint32_t **kinds_maps  # by run; NULL where codes stay as they are
    cdef readonly Lexicon lexicon

    def __cinit__(self, str grain not None, list runs not None):
        self.runs = [run for run in runs if (<Run?> run).n_cells]
        self.rollup = <ff_rollup *> calloc(1, sizeof(ff_rollup))
        if self.rollup == NULL:
            raise MemoryError
        self.rollup.grain = _grain(grain)
        self.lexicon = Lexicon(seed=int.from_bytes(os.urandom(8)))
        self.rollup.lexicon = self.lexicon.lexicon
        self.allocate()
        self.adopt_kinds()
        for i in range(len(self.runs)):
            self.begin_run(i)
        ff_rollup_begin(self.rollup, len(self.runs))

    def __dealloc__(self):
        cdef size_t i
        if self.rollup == NULL:
            return
        if self.kinds_maps != NULL:
            for i in range(<size_t> len(self.runs)):
                PyMem_RawFree(self.kinds_maps[i])
        PyMem_RawFree(self.kinds_maps)
        PyMem_RawFree(self.kinds_ranks)
        PyMem_RawFree(self.places)
        free(self.brought)
        free(self.rollup.cursors)
        free(self.rollup.heap)
        _free_numbers(&self.rollup.countries)
        _free_numbers(&self.rollup.traffics)
        _free_numbers(&self.rollup.tools)
        free(self.rollup)

    cdef int allocate(self) except -1:
        cdef size_t n = len(self.runs) + 1
        cdef ff_rollup *r = self.rollup
        r.cursors = <ff_cursor *> calloc(n, sizeof(ff_cursor))
        r.heap = <uint32_t *> calloc(n, sizeof(uint32_t))
        _init_numbers(&r.countries, FF_MANY_COUNTRIES)
        _init_numbers(&r.traffics, FF_MANY_TRAFFICS)
        _init_numbers(&r.tools, FF_MANY_TOOLS)
        self.places = <const cells_place **> PyMem_RawCalloc(n, sizeof(void *))
        self.kinds_maps = <uint32_t **> PyMem_RawCalloc(n, sizeof(void *))
        self.brought = <ff_cell *> aligned_alloc(
            sizeof(ff_cell), n * BROUGHT_CELLS * sizeof(ff_cell)
        )
        if (
            r.cursors == NULL
            or r.heap == NULL
            or self.places == NULL
            or self.kinds_maps == NULL
            or self.brought == NULL
        ):
            raise MemoryError
        return 0

    cdef int adopt_kinds(self) except -1:
        """Take in the kinds of every run; those of the first keep their codes."""
        cdef ff_lexicon *theirs
        cdef uint32_t *kinds_map
        cdef uint32_t code
        cdef size_t i
        cdef bint is_same
        for i in range(<size_t> len(self.runs)):
            theirs = (<Run> self.runs[i]).lexicon.lexicon
            kinds_map = <uint32_t *> PyMem_RawMalloc(
                (theirs.kinds.n_entries + 1) * sizeof(uint32_t)
            )
            if kinds_map == NULL:
                raise MemoryError
            self.kinds_maps[i] = kinds_map
            is_same = True
            for code in range(theirs.kinds.n_entries):
                if not self.lexicon.make_room(1):
                    raise MemoryError
                kinds_map[code] = ff_kinds_adopt(self.lexicon.lexicon, theirs, code)
                is_same = is_same and kinds_map[code] == code
            if is_same:
                PyMem_RawFree(kinds_map)
                self.kinds_maps[i] = NULL
        self.kinds_ranks = rank_kinds(self.lexicon.lexicon)
        if self.kinds_ranks == NULL:
            raise MemoryError
        self.rollup.kinds_ranks = self.kinds_ranks
        return 0

    cdef int begin_run(self, size_t i) except -1:
        """Let a run's cursor show its first cells."""
        cdef Run run = self.runs[i]
        self.places[i] = &run.place
        self.rollup.cursors[i].n_absent = run.place.n_cells
        error = self.bring(i)
        if error:
            raise OSError(error, os.strerror(error))
        return 0

    cdef int bring(self, size_t i) noexcept nogil:
        """Let a cursor show the next cells of its run; return 0 or an errno."""
        cdef ff_cursor *cursor = &self.rollup.cursors[i]
        cdef ff_cell *cells = self.brought + i * BROUGHT_CELLS
        cdef size_t begin = self.places[i].n_cells - cursor.n_absent
        cdef size_t n = min(cursor.n_absent, <uint64_t> BROUGHT_CELLS)
        cdef int error = read_cells(self.places[i], cells, begin, n)
        if error == 0:
            if self.kinds_maps[i] != NULL:
                ff_run_translate(cells, n, self.kinds_maps[i])
            cursor.at = cells
            cursor.end = cells + n
            cursor.n_absent -= n
        return error

    def fill(self, uint8_t[::1] arena not None, list values, list valid, size_t rows):
        """Write the next rows into an arena; return how many.

        Parameters
        ----------
        arena : uint8, writable
        values, valid : list[int], list[int | None]
            Byte offsets, in the order of row_fields(grain).
        rows : int
            Most that are wanted; fewer come only at the end.

        Raises
        ------
        OSError
            A run cannot be read from where it was spilled.
        """
        cdef ff_rollup *r = self.rollup
        cdef size_t at = 0, n
        cdef int error = 0
        cdef bint is_out_of_memory = False
        cdef ff_rolled rolled = FF_ROLLED_FULL
        cdef void *value_at[FF_MAX_ROW_FIELDS]
        cdef uint8_t *valid_at[FF_MAX_ROW_FIELDS]
        self.bind(arena, values, valid, rows, value_at, valid_at)
        with nogil:
            ff_rollup_begin_batch(r)
            while at < rows and rolled != FF_ROLLED_END:
                if not self.lexicon.make_room(FF_CHUNK_ROWS):
                    is_out_of_memory = True
                    break
                rolled = ff_rollup_add(r, min(rows - at, <size_t> FF_CHUNK_ROWS))
                if rolled == FF_ROLLED_OUT:
                    error = self.bring(r.heap[0])
                    if error:
                        break
                    ff_rollup_brought(r)
                    continue
                n = r.n_rows
                ff_rollup_fill(r, value_at, valid_at, at)
                at += n
        if is_out_of_memory:
            raise MemoryError
        if error:
            raise OSError(error, os.strerror(error))
        self.let_go()
        return at

    cdef int let_go(self) except -1:
        """Drop runs that are read to their end: nobody else may hold them any more."""
        cdef ff_cursor *cursor
        cdef size_t i
        for i in range(<size_t> len(self.runs)):
            cursor = &self.rollup.cursors[i]
            if cursor.at == cursor.end and cursor.n_absent == 0:
                self.runs[i] = None
        return 0

    cdef int bind(
        self,
        uint8_t[::1] arena,
        list values,
        list valid,
        size_t rows,
        void **value_at,
        uint8_t **valid_at,
    ) except -1:
        """Turn byte offsets into addresses, each proved to have room for the rows."""
        cdef size_t i, n_fields, value_off, valid_off
        cdef size_t size = arena.shape[0]
        cdef const ff_row_field *table = ff_row_fields(self.rollup.grain, &n_fields)
        if not len(values) == len(valid) == <Py_ssize_t> n_fields:
            raise ValueError("an offset is wanted for each column")
        if size == 0 or rows == 0:
            raise ValueError("no room for a row")
        for i in range(n_fields):
            value_off = values[i]
            if value_off > size or (size - value_off) // table[i].width_bytes < rows:
                raise ValueError("the arena is too small for a column")
            value_at[i] = &arena[0] + value_off
            valid_at[i] = NULL
            if not table[i].is_nullable:
                continue
            valid_off = valid[i]
            if valid_off > size or size - valid_off < (rows + 7) // 8:
                raise ValueError("the arena is too small for validity bits")
            valid_at[i] = &arena[0] + valid_off
        return 0

    def countries(self):
        """Return the numbers of the batch's countries, by code."""
        return _numbers(&self.rollup.countries)

    def traffics(self):
        """Return the numbers of the batch's kinds of traffic, by code."""
        return _numbers(&self.rollup.traffics)

    def tools(self):
        """Return the numbers of the batch's tools, by code; the first tool is 1."""
        return _numbers(&self.rollup.tools)


def echo_bins(
    const int32_t[::1] slots not None,
    const uint8_t[::1] sketches not None,
    const int64_t[::1] packets not None,
    const int64_t[::1] starts not None,
    const int32_t[::1] first_bins not None,
    int32_t[::1] offsets not None,
):
    """Add up the bins of victims' hours.

    Parameters
    ----------
    slots, sketches, packets : buffers
        Columns of rows of the grain `echoes`.
    starts : int64
        The first row of each victim's hour; they begin with 0 and grow.
    first_bins : int32
        The number of its first bin.
    offsets : int32, writable
        Where the bins of each begin is written here, and at last their number.

    Returns
    -------
    bytes, bytes
        int32 and int64: bins in order, and their packets; there may be more room.
    """
    cdef Py_ssize_t n_rows = starts.shape[0], n_cells = slots.shape[0], row, i, end
    cdef size_t most = 0, n = 0
    cdef Py_ssize_t sketch_bytes = 8 * FF_ECHO_SKETCH_WORDS
    cdef ff_echo_hour hour
    if not (
        packets.shape[0] == n_cells
        and sketches.shape[0] == sketch_bytes * n_cells
        and first_bins.shape[0] == n_rows
        and offsets.shape[0] == n_rows + 1
    ):
        raise ValueError("columns of cells, or of rows, differ in length")
    for row in range(n_rows):
        end = starts[row + 1] if row + 1 < n_rows else n_cells
        if not 0 <= starts[row] <= end <= n_cells:
            raise ValueError("the first cells of rows are not in order")
    if n_cells == 0 or n_rows == 0:
        offsets[:] = 0
        return b"", b""
    with nogil:
        for i in range(n_cells):
            if slots[i] < FF_ECHO_SKETCHES:
                most += ff_sketch_bins(&sketches[sketch_bytes * i])
            else:
                most += 1
    if most > INT32_MAX:
        raise ValueError("too many bins at a time")
    bins = PyBytes_FromStringAndSize(NULL, most * sizeof(int32_t))
    sums = PyBytes_FromStringAndSize(NULL, most * sizeof(int64_t))
    cdef int32_t *bins_at = <int32_t *> PyBytes_AS_STRING(bins)
    cdef int64_t *sums_at = <int64_t *> PyBytes_AS_STRING(sums)
    memset(&hour, 0, sizeof(hour))
    with nogil:
        for row in range(n_rows):
            offsets[row] = <int32_t> n
            end = starts[row + 1] if row + 1 < n_rows else n_cells
            for i in range(starts[row], end):
                ff_echo_hour_take(
                    &hour, <uint32_t> slots[i], &sketches[sketch_bytes * i], packets[i]
                )
            n += ff_echo_hour_end(&hour, first_bins[row], bins_at + n, sums_at + n)
        offsets[n_rows] = <int32_t> n
    return bins, sums
