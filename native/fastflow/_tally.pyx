"""The tally, its sorted runs and their roll-up: drivers over native/include.

As in _core.pyx: checks of arguments, memory, the GIL, and nothing of protocols.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from libc.errno cimport EIO, errno
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memcmp, memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.mman cimport MADV_HUGEPAGE, madvise
from posix.unistd cimport pread, pwrite

import os

from fastflow._c cimport (
    FF_CHUNK_ROWS,
    FF_GRAIN_COUNTS,
    FF_GRAIN_SOURCES,
    FF_KINDS_KEY_BYTES,
    FF_MANY_COUNTRIES,
    FF_MANY_TRAFFICS,
    FF_MAX_ROW_FIELDS,
    FF_NEED_OPTIONS,
    FF_NEED_ROOM,
    FF_ROLLED_END,
    FF_ROLLED_OUT,
    aligned_alloc,
    ff_cell,
    ff_cursor,
    ff_grain,
    ff_kinds_adopt,
    ff_lexicon,
    ff_outcome,
    ff_rolled,
    ff_rollup,
    ff_rollup_add,
    ff_rollup_begin,
    ff_rollup_begin_batch,
    ff_rollup_brought,
    ff_rollup_fill,
    ff_row_field,
    ff_row_fields,
    ff_run_make,
    ff_run_translate,
    ff_sort_item,
    ff_sorter,
    ff_tally,
    ff_tally_empty,
    ff_tally_has_room,
    ff_tally_has_slots,
    ff_tally_rehash,
    ff_tally_scan,
    ff_tally_sources,
)
from fastflow._core cimport Lexicon, Scanner, dict_name, grow_slots

cdef enum:
    BROUGHT_CELLS = 1024  # of a run, brought into memory at a time
    HUGE_PAGE_BYTES = 1 << 21


cdef ff_grain _grain(str name) except *:
    if name == "sources":
        return FF_GRAIN_SOURCES
    if name == "counts":
        return FF_GRAIN_COUNTS
    raise ValueError(f"no grain is called {name!r}")


def row_fields(str grain not None):
    """Return a dict per column that a roll-up to `sources` or `counts` fills."""
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


cdef int _compare_kinds(const void *a, const void *b) noexcept nogil:
    """Compare two keys of the dictionary of kinds, pointed to."""
    return memcmp((<const void **> a)[0], (<const void **> b)[0], FF_KINDS_KEY_BYTES)


cdef uint32_t *_rank_kinds(const ff_lexicon *lexicon) noexcept nogil:
    """Return the rank of each list of kinds among all; NULL where memory is out."""
    cdef size_t i, n = lexicon.kinds.n_entries
    cdef const uint8_t **keys
    cdef uint32_t *ranks = <uint32_t *> PyMem_RawMalloc((n + 1) * sizeof(uint32_t))
    keys = <const uint8_t **> PyMem_RawMalloc((n + 1) * sizeof(void *))
    if ranks == NULL or keys == NULL:
        PyMem_RawFree(ranks)
        PyMem_RawFree(keys)
        return NULL
    for i in range(n):
        keys[i] = lexicon.kinds.keys + i * FF_KINDS_KEY_BYTES
    qsort(keys, n, sizeof(void *), _compare_kinds)
    for i in range(n):
        ranks[(keys[i] - lexicon.kinds.keys) // FF_KINDS_KEY_BYTES] = <uint32_t> i
    PyMem_RawFree(keys)
    return ranks


cdef ff_cell *_new_cells(size_t n) noexcept nogil:
    """Make room for cells, each on a cache line of its own; free() takes it back.

    Where they are many, in huge pages: clearing small ones costs as much as counting.
    """
    cdef size_t n_bytes = n * sizeof(ff_cell)
    cdef ff_cell *cells
    if n_bytes < 2 * HUGE_PAGE_BYTES:
        return <ff_cell *> aligned_alloc(sizeof(ff_cell), n_bytes)
    n_bytes = (n_bytes + HUGE_PAGE_BYTES - 1) // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
    cells = <ff_cell *> aligned_alloc(HUGE_PAGE_BYTES, n_bytes)
    if cells != NULL:
        madvise(cells, n_bytes, MADV_HUGEPAGE)
    return cells


cdef uint64_t _clock_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t> now.tv_sec * 1_000_000_000 + <uint64_t> now.tv_nsec


cdef class Run:
    """Sorted cells, each key once: what a tally's arena was emptied into.

    It lies in memory, or in a file where it was spilled. Any number of roll-ups may
    read it at the same time.
    """

    cdef object __weakref__
    cdef ff_cell *cells  # NULL: they lie in the file
    cdef readonly size_t n_cells
    cdef readonly Lexicon lexicon  # of the codes of kinds
    cdef object file  # kept open as long as the run is
    cdef int fd
    cdef int64_t offset

    def __dealloc__(self):
        free(self.cells)

    cdef int read(self, ff_cell *into, size_t begin, size_t n) noexcept nogil:
        """Copy n cells from `begin` on; return 0, or what went wrong as an errno."""
        cdef size_t n_bytes = n * sizeof(ff_cell), done = 0
        cdef ssize_t got
        if self.cells != NULL:
            memcpy(into, self.cells + begin, n_bytes)
            return 0
        while done < n_bytes:
            got = pread(
                self.fd,
                <char *> into + done,
                n_bytes - done,
                self.offset + <int64_t> (begin * sizeof(ff_cell) + done),
            )
            if got <= 0:
                return errno if got < 0 else EIO
            done += <size_t> got
        return 0

    cdef int write(self) noexcept nogil:
        """Write the cells to the file; return 0, or what went wrong as an errno."""
        cdef size_t n_bytes = self.n_cells * sizeof(ff_cell), done = 0
        cdef ssize_t put
        while done < n_bytes:
            put = pwrite(
                self.fd,
                <char *> self.cells + done,
                n_bytes - done,
                self.offset + <int64_t> done,
            )
            if put < 0:
                return errno
            done += <size_t> put
        return 0


cdef class Tally:
    """Counts packets in the finest cells, hour by hour and source by source.

    Not thread-safe. Its arena is emptied into runs; rolled up together with those of
    other tallies they give the same rows, however packets were split over them.

    Parameters
    ----------
    seed : int
        Of the hash; no result depends on it.
    max_cells : int
        How many cells the arena holds.
    is_timed : bool
        Measure what counting takes of the time of add().
    """

    cdef ff_tally *tally
    cdef ff_sorter sorter
    cdef size_t sorter_cap
    cdef ff_cell *spare  # of a run that was spilled, for the next one
    cdef size_t spare_cap
    cdef readonly Lexicon lexicon  # of the scanner whose cells are in the arena

    def __cinit__(self, uint64_t seed, size_t max_cells, bint is_timed=False):
        if max_cells < FF_CHUNK_ROWS or max_cells > <size_t> UINT32_MAX // 4:
            raise ValueError(f"an arena of {max_cells} cells")
        self.tally = <ff_tally *> calloc(1, sizeof(ff_tally))
        if self.tally == NULL:
            raise MemoryError
        self.tally.seed = seed
        if is_timed:
            self.tally.clock_ns = _clock_ns
        self.tally.n_slots = 1 << 14
        self.tally.slots = <uint64_t *> PyMem_RawCalloc(
            self.tally.n_slots, sizeof(uint64_t)
        )
        self.tally.cells = _new_cells(max_cells)
        self.tally.cells_cap = max_cells
        if self.tally.slots == NULL or self.tally.cells == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.spare)
        PyMem_RawFree(self.sorter.items)
        PyMem_RawFree(self.sorter.scratch)
        if self.tally != NULL:
            free(self.tally.cells)
            PyMem_RawFree(self.tally.slots)
            free(self.tally)

    def add(self, Scanner scanner not None, const uint8_t[::1] block not None):
        """Scan a block and count its packets; return the bytes used up.

        Where is_full() holds afterwards, the arena must be emptied, and the rest of
        the block be added then. So it must be before a scanner of another lexicon.
        """
        cdef size_t consumed = 0, step = 0
        cdef size_t n = block.shape[0]
        cdef const uint8_t *p = &block[0] if n else NULL
        cdef bint is_out_of_memory = False
        cdef ff_outcome outcome
        scanner.check_open()
        if scanner.lexicon is not self.lexicon:
            if self.tally.n_cells:
                raise ValueError("the scanner's codes are of another lexicon")
            self.lexicon = scanner.lexicon
        if n == 0:
            return 0
        scanner.scan.needs = FF_NEED_OPTIONS
        with nogil:
            while ff_tally_has_room(self.tally):
                if not (self.make_slots() and scanner.make_room()):
                    is_out_of_memory = True
                    break
                outcome = ff_tally_scan(
                    self.tally, scanner.scan, p + consumed, n - consumed, &step
                )
                consumed += step
                if outcome != FF_NEED_ROOM:
                    break
        if is_out_of_memory:
            raise MemoryError
        return consumed

    cdef bint make_slots(self) noexcept nogil:
        cdef ff_tally *t = self.tally
        if ff_tally_has_slots(t):
            return True
        if not grow_slots(
            <void **> &t.slots, &t.n_slots, sizeof(uint64_t), t.n_slots // 2 + 1
        ):
            return False
        ff_tally_rehash(t)
        return True

    def is_full(self):
        """Return whether the arena must be emptied before more is added."""
        return not ff_tally_has_room(self.tally)

    @property
    def n_cells(self):
        """Cells in the arena."""
        return self.tally.n_cells

    @property
    def counting_seconds(self):
        """What counting took of the time of add(); 0 unless it is timed."""
        return self.tally.counting_ns / 1e9

    def sources(
        self,
        size_t begin,
        uint8_t[::1] addresses not None,
        uint8_t[::1] versions not None,
    ):
        """Copy out the source addresses (16 bytes each) and IP versions of cells.

        As many cells from `begin` on as `versions` has elements.
        """
        cdef size_t n = versions.shape[0]
        if <size_t> addresses.shape[0] != 16 * n:
            raise ValueError("16 bytes of address are wanted for each version")
        if begin > self.tally.n_cells or self.tally.n_cells - begin < n:
            raise IndexError("not that many cells")
        if n:
            with nogil:
                ff_tally_sources(self.tally, begin, n, &addresses[0], &versions[0])

    def empty(self, const uint16_t[::1] countries not None, spill=None):
        """Empty the arena into a run.

        Parameters
        ----------
        countries : uint16, one per cell
            The number of each source's country, in the order of codes; 0 for none.
        spill : object or None
            Where the run is put instead of memory: reserve(n_bytes) returns an offset
            in the file that fileno() names.

        Raises
        ------
        OSError
            The run cannot be spilled; the arena is as it was.
        """
        cdef size_t n = self.tally.n_cells
        cdef Run run = Run.__new__(Run)
        cdef uint32_t *ranks = NULL
        cdef int error = 0
        if <size_t> countries.shape[0] != n:
            raise ValueError("a country is wanted for each cell")
        run.lexicon = self.lexicon
        if n == 0:
            return run
        if not self.make_sorter(n) or not self.take_spare(run, n):
            raise MemoryError
        with nogil:
            ranks = _rank_kinds(self.lexicon.lexicon)
            if ranks != NULL:
                self.sorter.cells = self.tally.cells
                self.sorter.kinds_ranks = ranks
                run.n_cells = ff_run_make(
                    &self.sorter, self.tally, &countries[0], run.cells
                )
                PyMem_RawFree(ranks)
        if ranks == NULL:
            raise MemoryError
        if spill is not None:
            run.offset = spill.reserve(run.n_cells * sizeof(ff_cell))
            run.fd = spill.fileno()
            run.file = spill
            with nogil:
                error = run.write()
            if error:
                raise OSError(error, os.strerror(error))
            free(self.spare)
            self.spare, run.cells = run.cells, NULL
            self.spare_cap = n
        ff_tally_empty(self.tally)
        return run

    cdef bint make_sorter(self, size_t n):
        cdef size_t n_bytes = n * sizeof(ff_sort_item)
        if n <= self.sorter_cap:
            return True
        PyMem_RawFree(self.sorter.items)
        PyMem_RawFree(self.sorter.scratch)
        self.sorter.items = <ff_sort_item *> PyMem_RawMalloc(n_bytes)
        self.sorter.scratch = <ff_sort_item *> PyMem_RawMalloc(n_bytes)
        self.sorter_cap = n
        if self.sorter.items == NULL or self.sorter.scratch == NULL:
            self.sorter_cap = 0
            return False
        return True

    cdef bint take_spare(self, Run run, size_t n):
        """Give a run room for n cells: what a spilled one left, or new memory."""
        if self.spare == NULL or self.spare_cap < n:
            free(self.spare)
            self.spare = _new_cells(n)
            self.spare_cap = n
        run.cells, self.spare = self.spare, NULL
        return run.cells != NULL


cdef class Rollup:
    """The rows of runs at one grain, in their order, a batch at a time.

    Parameters
    ----------
    grain : {"sources", "counts"}
    runs : list[Run]
        Of any number of tallies; merged.
    """

    cdef list runs  # those with cells; `cursors` point into them, until they end
    cdef ff_rollup *rollup
    cdef ff_cell *brought  # BROUGHT_CELLS for each run
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
        free(self.brought)
        free(self.rollup.cursors)
        free(self.rollup.heap)
        free(self.rollup.countries.codes)
        free(self.rollup.countries.numbers)
        free(self.rollup.traffics.codes)
        free(self.rollup.traffics.numbers)
        free(self.rollup)

    cdef int allocate(self) except -1:
        cdef size_t n = len(self.runs) + 1
        cdef ff_rollup *r = self.rollup
        r.cursors = <ff_cursor *> calloc(n, sizeof(ff_cursor))
        r.heap = <uint32_t *> calloc(n, sizeof(uint32_t))
        r.countries.codes = <uint32_t *> calloc(FF_MANY_COUNTRIES, sizeof(uint32_t))
        r.countries.numbers = <uint16_t *> calloc(FF_MANY_COUNTRIES, sizeof(uint16_t))
        r.traffics.codes = <uint32_t *> calloc(FF_MANY_TRAFFICS, sizeof(uint32_t))
        r.traffics.numbers = <uint16_t *> calloc(FF_MANY_TRAFFICS, sizeof(uint16_t))
        self.kinds_maps = <uint32_t **> PyMem_RawCalloc(n, sizeof(void *))
        self.brought = <ff_cell *> aligned_alloc(
            sizeof(ff_cell), n * BROUGHT_CELLS * sizeof(ff_cell)
        )
        if (
            r.cursors == NULL
            or r.heap == NULL
            or r.countries.codes == NULL
            or r.countries.numbers == NULL
            or r.traffics.codes == NULL
            or r.traffics.numbers == NULL
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
        self.kinds_ranks = _rank_kinds(self.lexicon.lexicon)
        if self.kinds_ranks == NULL:
            raise MemoryError
        self.rollup.kinds_ranks = self.kinds_ranks
        return 0

    cdef int begin_run(self, size_t i) except -1:
        """Let a run's cursor show its first cells."""
        cdef Run run = self.runs[i]
        cdef ff_cursor *cursor = &self.rollup.cursors[i]
        if run.cells != NULL and self.kinds_maps[i] == NULL:
            cursor.at = run.cells
            cursor.end = run.cells + run.n_cells
            return 0
        cursor.n_absent = run.n_cells
        error = self.bring(i, run)
        if error:
            raise OSError(error, os.strerror(error))
        return 0

    cdef int bring(self, size_t i, Run run) noexcept nogil:
        """Let a cursor show the next cells of its run; return 0 or an errno."""
        cdef ff_cursor *cursor = &self.rollup.cursors[i]
        cdef ff_cell *cells = self.brought + i * BROUGHT_CELLS
        cdef size_t begin = run.n_cells - cursor.n_absent
        cdef size_t n = min(cursor.n_absent, <uint64_t> BROUGHT_CELLS)
        cdef int error = run.read(cells, begin, n)
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
        cdef ff_rolled rolled
        cdef Run run
        cdef void *value_at[FF_MAX_ROW_FIELDS]
        cdef uint8_t *valid_at[FF_MAX_ROW_FIELDS]
        self.bind(arena, values, valid, rows, value_at, valid_at)
        ff_rollup_begin_batch(r)
        while at < rows:
            with nogil:
                while at < rows:
                    if not self.lexicon.make_room(FF_CHUNK_ROWS):
                        is_out_of_memory = True
                        break
                    rolled = ff_rollup_add(r, min(rows - at, <size_t> FF_CHUNK_ROWS))
                    if rolled == FF_ROLLED_OUT:
                        break
                    n = r.n_rows
                    ff_rollup_fill(r, value_at, valid_at, at)
                    at += n
                    if rolled == FF_ROLLED_END:
                        break
            if is_out_of_memory:
                raise MemoryError
            if rolled == FF_ROLLED_END:
                break
            if rolled == FF_ROLLED_OUT:
                run = self.runs[r.heap[0]]
                with nogil:
                    error = self.bring(r.heap[0], run)
                    if error == 0:
                        ff_rollup_brought(r)
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
        cdef uint32_t i
        return [
            self.rollup.countries.numbers[i] for i in range(self.rollup.countries.n)
        ]

    def traffics(self):
        """Return the numbers of the batch's kinds of traffic, by code."""
        cdef uint32_t i
        return [self.rollup.traffics.numbers[i] for i in range(self.rollup.traffics.n)]
