"""The tally and its sorted runs: drivers over native/include.

As in _core.pyx: checks of arguments, memory, the GIL, and nothing of protocols.
"""

from cpython.mem cimport PyMem_RawFree
from libc.errno cimport ENOMEM, errno
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.mman cimport MADV_HUGEPAGE, madvise
from posix.unistd cimport pwrite

import os

from fastflow._c cimport (
    FF_CHUNK_CELLS,
    FF_NEED_OPTIONS,
    FF_NEED_ROOM,
    aligned_alloc,
    ff_cell,
    ff_outcome,
    ff_run_gather,
    ff_run_sort,
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
from fastflow._core cimport Lexicon, Scanner

cdef enum:
    HUGE_PAGE_BYTES = 1 << 21
    FIRST_SLOTS = 1 << 14
    SPILLED_CELLS = 1 << 14  # of a run, written at a time


cdef void *_new_block(size_t n_bytes) noexcept nogil:
    """Make room that begins on a cache line; free() takes it back.

    Where it is large, in huge pages: clearing small ones costs as much as counting, and
    to find them as much again. What is never touched takes no memory.
    """
    cdef size_t unit = sizeof(ff_cell)
    cdef void *block
    if n_bytes >= 2 * HUGE_PAGE_BYTES:
        unit = HUGE_PAGE_BYTES
    n_bytes = (n_bytes + unit - 1) // unit * unit
    block = aligned_alloc(unit, n_bytes)
    if block != NULL and unit == HUGE_PAGE_BYTES:
        madvise(block, n_bytes, MADV_HUGEPAGE)
    return block


cdef uint64_t _clock_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t> now.tv_sec * 1_000_000_000 + <uint64_t> now.tv_nsec


cdef class Run:
    """Cells in their order: what a tally's arena was emptied into.

    They lie in memory, or in a file where they were spilled. Any number of roll-ups may
    read a run at the same time.
    """

    def __dealloc__(self):
        free(self.place.cells)
        free(self.place.order)

    @property
    def n_cells(self):
        """How many there are."""
        return self.place.n_cells


cdef int _write_all(
    int fd, const void *data, size_t n_bytes, int64_t offset
) noexcept nogil:
    """Write bytes to a place in a file; return 0, or what went wrong as an errno."""
    cdef size_t done = 0
    cdef ssize_t put
    while done < n_bytes:
        put = pwrite(
            fd, <const char *> data + done, n_bytes - done, offset + <int64_t> done
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
        How far the arena may grow.
    is_timed : bool
        Measure what counting takes of the time of add().
    """

    cdef ff_tally *tally
    cdef ff_sorter sorter
    cdef size_t sorter_cap
    cdef readonly Lexicon lexicon  # of the scanner whose cells are in the arena

    def __cinit__(self, uint64_t seed, size_t max_cells, bint is_timed=False):
        if max_cells < FF_CHUNK_CELLS or max_cells > <size_t> UINT32_MAX // 4:
            raise ValueError(f"an arena of {max_cells} cells")
        self.tally = <ff_tally *> calloc(1, sizeof(ff_tally))
        if self.tally == NULL:
            raise MemoryError
        self.tally.seed = seed
        self.tally.cells_max = max_cells
        if is_timed:
            self.tally.clock_ns = _clock_ns
        if not self.replace_slots(FIRST_SLOTS):
            raise MemoryError

    def __dealloc__(self):
        self.free_sorter()
        if self.tally != NULL:
            free(self.tally.cells)
            free(self.tally.slots)
            free(self.tally)

    @property
    def room(self):
        """How many cells the arena may hold now; 0: there is none."""
        return self.tally.cells_cap

    def grow(self, size_t n_cells):
        """Let the arena hold so many cells more; make it, if there is none."""
        if n_cells > self.tally.cells_max - self.tally.cells_cap:
            raise ValueError(f"an arena cannot grow by {n_cells} cells")
        if self.tally.cells == NULL:
            self.tally.cells = <ff_cell *> _new_block(
                self.tally.cells_max * sizeof(ff_cell)
            )
            if self.tally.cells == NULL:
                raise MemoryError
        self.tally.cells_cap += n_cells

    def release(self):
        """Give the memory of an empty arena back, and of what goes with it."""
        if self.tally.n_cells:
            raise ValueError("there are cells in the arena")
        free(self.tally.cells)
        self.tally.cells = NULL
        self.tally.cells_cap = 0
        self.free_sorter()
        # Without memory for less, the slots stay: all they know is old.
        self.replace_slots(FIRST_SLOTS)

    def add(self, Scanner scanner not None, const uint8_t[::1] block not None):
        """Scan a block and count its packets; return the bytes used up.

        Where is_full() holds afterwards, the arena must grow or be emptied, and the
        rest of the block be added then. Before a scanner of another lexicon comes, it
        must be emptied.
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
        if not self.replace_slots(2 * t.n_slots):
            return False
        ff_tally_rehash(t)
        return True

    cdef bint replace_slots(self, size_t n) noexcept nogil:
        """Put n zeroed slots in place of those that are there."""
        cdef void *slots = _new_block(n * sizeof(uint64_t))
        if slots == NULL:
            return False
        memset(slots, 0, n * sizeof(uint64_t))
        free(self.tally.slots)
        self.tally.slots = <uint64_t *> slots
        self.tally.n_slots = n
        return True

    def is_full(self):
        """Return whether the arena must grow or be emptied before more is added."""
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

    def take_run(self, const uint16_t[::1] countries not None):
        """Empty the arena into a run in memory.

        A run of many cells takes the arena along: there is no room then, until grow()
        makes a new one. Few are copied, and the arena stays.

        Parameters
        ----------
        countries : uint16, one per cell
            The number of each source's country, in the order of codes; 0 for none.
        """
        cdef size_t n = self.tally.n_cells
        cdef Run run = self.new_run(countries)
        cdef ff_cell *cells = NULL
        cdef bint is_copied = n < self.tally.cells_cap // 4
        run.place.order = <uint32_t *> malloc(n * sizeof(uint32_t) + 1)
        if run.place.order == NULL:
            raise MemoryError
        self.sort(countries, run.place.order)
        if is_copied:
            cells = <ff_cell *> _new_block(max(n, <size_t> 1) * sizeof(ff_cell))
            if cells == NULL:
                raise MemoryError
            memcpy(cells, self.tally.cells, n * sizeof(ff_cell))
        else:
            cells, self.tally.cells = self.tally.cells, NULL
        run.place.cells = cells
        ff_tally_empty(self.tally)
        if not is_copied:
            self.release()
        return run

    def spill_run(self, const uint16_t[::1] countries not None, file not None):
        """Empty the arena into a run in a file.

        Parameters
        ----------
        countries : uint16, one per cell
            As for take_run().
        file : object
            reserve(n_bytes) returns an offset in the file that fileno() names.

        Raises
        ------
        OSError
            The run cannot be spilled; the arena is as it was.
        """
        cdef size_t n = self.tally.n_cells
        cdef Run run = self.new_run(countries)
        cdef int error
        run.place.offset = file.reserve(n * sizeof(ff_cell))
        run.place.fd = file.fileno()
        run.file = file
        if not self.make_sorter(n):
            raise MemoryError
        # Once the items are sorted, the room for sorting them is free.
        self.sort(countries, <uint32_t *> self.sorter.scratch)
        with nogil:
            error = self.write(&run.place, <uint32_t *> self.sorter.scratch)
        if error:
            raise OSError(error, os.strerror(error))
        ff_tally_empty(self.tally)
        return run

    cdef Run new_run(self, const uint16_t[::1] countries):
        """Return a run for all cells, which has none of them yet."""
        cdef Run run = Run.__new__(Run)
        if <size_t> countries.shape[0] != self.tally.n_cells:
            raise ValueError("a country is wanted for each cell")
        run.lexicon = self.lexicon
        run.place.n_cells = self.tally.n_cells
        return run

    cdef int sort(self, const uint16_t[::1] countries, uint32_t *order) except -1:
        """Write the order of the cells."""
        cdef uint32_t *ranks = NULL
        if self.tally.n_cells == 0:
            return 0
        if not self.make_sorter(self.tally.n_cells):
            raise MemoryError
        with nogil:
            ranks = rank_kinds(self.lexicon.lexicon)
            if ranks != NULL:
                self.sorter.cells = self.tally.cells
                self.sorter.kinds_ranks = ranks
                ff_run_sort(&self.sorter, self.tally, &countries[0], order)
                PyMem_RawFree(ranks)
        if ranks == NULL:
            raise MemoryError
        return 0

    cdef int write(
        self, const cells_place *place, const uint32_t *order
    ) noexcept nogil:
        """Write the cells in an order; return 0, or what went wrong as an errno."""
        cdef size_t begin = 0, n
        cdef int error = 0
        cdef ff_cell *cells = <ff_cell *> _new_block(SPILLED_CELLS * sizeof(ff_cell))
        if cells == NULL:
            return ENOMEM
        while begin < place.n_cells and error == 0:
            n = min(place.n_cells - begin, <size_t> SPILLED_CELLS)
            ff_run_gather(self.tally.cells, order + begin, n, cells)
            error = _write_all(
                place.fd,
                cells,
                n * sizeof(ff_cell),
                place.offset + <int64_t> (begin * sizeof(ff_cell)),
            )
            begin += n
        free(cells)
        return error

    cdef bint make_sorter(self, size_t n):
        cdef size_t n_bytes = n * sizeof(ff_sort_item)
        if n <= self.sorter_cap:
            return True
        self.free_sorter()
        self.sorter.items = <ff_sort_item *> _new_block(n_bytes)
        self.sorter.scratch = <ff_sort_item *> _new_block(n_bytes)
        self.sorter_cap = n
        if self.sorter.items == NULL or self.sorter.scratch == NULL:
            self.free_sorter()
            return False
        return True

    cdef void free_sorter(self) noexcept:
        free(self.sorter.items)
        free(self.sorter.scratch)
        self.sorter.items = self.sorter.scratch = NULL
        self.sorter_cap = 0
