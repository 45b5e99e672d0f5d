"""The tally and its roll-up: drivers over the headers of native/include.

As in _core.pyx: checks of arguments, memory, the GIL, and nothing of protocols.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree
from libc.stdint cimport UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastflow._c cimport (
    FF_CHUNK_ROWS,
    FF_GRAIN_COUNTS,
    FF_GRAIN_SOURCES,
    FF_MAX_ROW_FIELDS,
    FF_NEED_ROOM,
    FF_NEED_OPTIONS,
    aligned_alloc,
    ff_cell,
    ff_grain,
    ff_kinds_adopt,
    ff_lexicon,
    ff_outcome,
    ff_rollup,
    ff_rollup_count,
    ff_rollup_fill,
    ff_rollup_sort,
    ff_row_field,
    ff_row_fields,
    ff_sort_item,
    ff_tally,
    ff_tally_append,
    ff_tally_rehash,
    ff_tally_scan,
    ff_tally_signatures,
    ff_tally_sources,
)
from fastflow._core cimport Lexicon, Scanner, dict_name, grow_slots


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
        }
        for i in range(n)
    ]


cdef bint _regrow_cells(ff_tally *t, size_t n) noexcept nogil:
    """Move the cells to a larger array, each cell on a cache line of its own."""
    cdef size_t width = sizeof(ff_cell)
    cdef ff_cell *grown = <ff_cell *> aligned_alloc(width, n * width)
    if grown == NULL:
        return False
    if t.n_cells:
        memcpy(grown, t.cells, t.n_cells * width)
    free(t.cells)
    t.cells = grown
    t.cells_cap = n
    return True


cdef class Tally:
    """Counts packets in the finest cells, hour by hour and source by source.

    Not thread-safe. Merging is associative and commutative: what the roll-up gives
    depends on the packets alone.

    Parameters
    ----------
    lexicon : Lexicon
        The one of every Scanner that is added.
    seed : int
        Of the hash; no result depends on it.
    """

    cdef ff_tally *tally
    cdef readonly Lexicon lexicon

    def __cinit__(self, Lexicon lexicon not None, uint64_t seed):
        self.tally = <ff_tally *> calloc(1, sizeof(ff_tally))
        if self.tally == NULL:
            raise MemoryError
        self.lexicon = lexicon
        self.tally.seed = seed
        self.tally.n_slots = 1 << 14
        self.tally.slots = <uint64_t *> PyMem_RawCalloc(
            self.tally.n_slots, sizeof(uint64_t)
        )
        if self.tally.slots == NULL or not self.make_room(FF_CHUNK_ROWS):
            raise MemoryError

    def __dealloc__(self):
        if self.tally != NULL:
            free(self.tally.cells)
            PyMem_RawFree(self.tally.slots)
            free(self.tally)

    cdef bint make_room(self, size_t n) noexcept nogil:
        cdef ff_tally *t = self.tally
        cdef size_t cells = t.n_cells + n
        if cells > UINT32_MAX:
            return False
        if cells > t.cells_cap:
            cells += cells // 2
            if not _regrow_cells(t, cells):
                return False
        if t.n_slots // 2 < t.n_cells - t.horizon + n:
            if not grow_slots(
                <void **> &t.slots,
                &t.n_slots,
                sizeof(uint64_t),
                t.n_cells - t.horizon + n,
            ):
                return False
            ff_tally_rehash(t)
        return True

    def add(self, Scanner scanner not None, const uint8_t[::1] block not None):
        """Scan a block and count its packets; return the bytes used up."""
        cdef size_t consumed = 0, step = 0
        cdef size_t n = block.shape[0]
        cdef const uint8_t *p = &block[0] if n else NULL
        cdef ff_outcome outcome
        cdef bint is_out_of_memory = False
        scanner.check_open()
        if scanner.lexicon is not self.lexicon:
            raise ValueError("the scanner's codes are of another lexicon")
        if n == 0:
            return 0
        scanner.scan.needs = FF_NEED_OPTIONS
        with nogil:
            while True:
                outcome = ff_tally_scan(
                    self.tally, scanner.scan, p + consumed, n - consumed, &step
                )
                consumed += step
                if outcome != FF_NEED_ROOM:
                    break
                if not (self.make_room(FF_CHUNK_ROWS) and scanner.make_room()):
                    is_out_of_memory = True
                    break
        if is_out_of_memory:
            raise MemoryError
        return consumed

    def merge(self, Tally other not None):
        """Take in everything that another tally has counted."""
        cdef ff_lexicon *theirs = other.lexicon.lexicon
        cdef size_t n = theirs.kinds.n_entries
        cdef uint32_t i
        cdef bint is_ok = True
        cdef uint32_t *kinds_map
        if other is self:
            raise ValueError("a tally cannot be merged with itself")
        kinds_map = <uint32_t *> PyMem_RawCalloc(n + 1, sizeof(uint32_t))
        if kinds_map == NULL:
            raise MemoryError
        with nogil:
            for i in range(n):
                if not self.lexicon.make_room(1):
                    is_ok = False
                    break
                kinds_map[i] = ff_kinds_adopt(self.lexicon.lexicon, theirs, i)
            is_ok = is_ok and self.make_room(other.tally.n_cells)
            if is_ok:
                ff_tally_append(self.tally, other.tally, kinds_map)
        PyMem_RawFree(kinds_map)
        if not is_ok:
            raise MemoryError

    @property
    def n_cells(self):
        """Cells held; a cell may be held in parts until the roll-up adds them."""
        return self.tally.n_cells

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

    def signatures(self, uint32_t[::1] codes not None):
        """Write each cell's signature: 0 for none, else its code in the lexicon + 1."""
        cdef size_t begin = 0, n
        cdef size_t n_cells = self.tally.n_cells
        cdef bint is_out_of_memory = False
        if <size_t> codes.shape[0] != n_cells:
            raise ValueError("a code is wanted for each cell")
        if n_cells == 0:
            return
        with nogil:
            while begin < n_cells:
                n = min(n_cells - begin, <size_t> FF_CHUNK_ROWS)
                if not self.lexicon.make_room(n):
                    is_out_of_memory = True
                    break
                ff_tally_signatures(
                    self.tally, begin, n, self.lexicon.lexicon, &codes[begin]
                )
                begin += n
        if is_out_of_memory:
            raise MemoryError


cdef class Rollup:
    """The sorted, added-up rows of a tally, which must not change meanwhile.

    Parameters
    ----------
    tally : Tally
    countries : uint16, one per cell
        Country numbers in the order of their codes; 0 for none.
    sig_ranks : uint32, one per cell
        Ranks of the signatures' texts from 1; 0 for none.
    """

    cdef Tally tally
    cdef object countries, sig_ranks  # keep what `rollup` points into
    cdef ff_rollup rollup

    def __cinit__(
        self,
        Tally tally not None,
        const uint16_t[::1] countries not None,
        const uint32_t[::1] sig_ranks not None,
    ):
        cdef size_t n = tally.tally.n_cells
        cdef void *items
        memset(&self.rollup, 0, sizeof(self.rollup))
        if <size_t> countries.shape[0] != n:
            raise ValueError("a country is wanted for each cell")
        if <size_t> sig_ranks.shape[0] != n:
            raise ValueError("a signature's rank is wanted for each cell")
        self.tally = tally
        self.countries = countries
        self.sig_ranks = sig_ranks
        self.rollup.cells = tally.tally.cells
        self.rollup.n_cells = n
        if n == 0:
            return
        self.rollup.countries = &countries[0]
        self.rollup.sig_ranks = &sig_ranks[0]
        items = PyMem_RawCalloc(n, sizeof(ff_sort_item))
        self.rollup.items = <ff_sort_item *> items
        items = PyMem_RawCalloc(n, sizeof(ff_sort_item))
        self.rollup.scratch = <ff_sort_item *> items
        if self.rollup.items == NULL or self.rollup.scratch == NULL:
            raise MemoryError
        with nogil:
            ff_rollup_sort(&self.rollup)
            ff_rollup_count(&self.rollup)

    def __dealloc__(self):
        PyMem_RawFree(self.rollup.items)
        PyMem_RawFree(self.rollup.scratch)

    def count(self, str grain not None):
        """Return the number of rows of `sources` or `counts`."""
        return self.rollup.n_rows[<int> _grain(grain)]

    def fill(
        self,
        str grain not None,
        uint8_t[::1] arena not None,
        list values,
        list valid,
        size_t rows,
    ):
        """Write the rows into an arena whose validity bits are zeroed.

        Parameters
        ----------
        grain : {"sources", "counts"}
        arena : uint8, writable
        values, valid : list[int]
            Byte offsets, in the order of row_fields(grain).
        rows : int
            What count() said.
        """
        cdef ff_grain g = _grain(grain)
        cdef size_t i, n_fields
        cdef const ff_row_field *table = ff_row_fields(g, &n_fields)
        cdef void *value_at[FF_MAX_ROW_FIELDS]
        cdef uint8_t *valid_at[FF_MAX_ROW_FIELDS]
        cdef size_t size = arena.shape[0]
        cdef size_t value_off, valid_off
        if not len(values) == len(valid) == <Py_ssize_t> n_fields:
            raise ValueError("an offset is wanted for each column")
        if rows != self.count(grain):
            raise ValueError("the roll-up has another number of rows")
        if rows == 0:
            return
        for i in range(n_fields):
            value_off = values[i]
            valid_off = valid[i]
            if (
                value_off > size
                or (size - value_off) // table[i].width_bytes < rows
                or valid_off > size
                or size - valid_off < (rows + 7) // 8
            ):
                raise ValueError("the arena is too small for a column")
            value_at[i] = &arena[0] + value_off
            valid_at[i] = &arena[0] + valid_off
        with nogil:
            ff_rollup_fill(&self.rollup, g, value_at, valid_at)
