"""The scanner and the tally: drivers over the headers of native/include.

No protocol knowledge here: checks of arguments, memory, the GIL. It is released once
per call; memory grows without it.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fastflow._c cimport (
    FF_CHUNK_ROWS,
    FF_DICT_none,
    FF_FAULT_none,
    FF_FIRST_DERIVED_COL,
    FF_GRAIN_COUNTS,
    FF_GRAIN_SOURCES,
    FF_KINDS_KEY_BYTES,
    FF_KINDS_TEXT_MAX,
    FF_MAX_ROW_FIELDS,
    FF_N_COLS,
    FF_N_FAULTS,
    FF_N_FLAGS,
    FF_N_LAYERS,
    FF_N_REASONS,
    FF_N_STATES,
    FF_N_TRAFFICS,
    FF_NEED_ROOM,
    FF_NEED_OPTIONS,
    FF_PCAP_HEADER_BYTES,
    FF_PCAP_RECORD_MAX_BYTES,
    FF_REASON_STATES,
    FF_REASON_counted,
    FF_SIG_KEY_BYTES,
    FF_SIG_TEXT_MAX,
    FF_SOURCE_HASH,
    aligned_alloc,
    ff_cell,
    ff_columns,
    ff_dict,
    ff_dict_names,
    ff_dict_rehash,
    ff_fault_names,
    ff_fields,
    ff_flag_names,
    ff_grain,
    ff_kinds_adopt,
    ff_lexicon,
    ff_lexicon_clear,
    ff_name,
    ff_outcome,
    ff_reason_names,
    ff_rollup,
    ff_rollup_count,
    ff_rollup_fill,
    ff_rollup_sort,
    ff_row_field,
    ff_row_fields,
    ff_scan,
    ff_scan_columns,
    ff_scan_end,
    ff_scan_open,
    ff_sort_item,
    ff_state_names,
    ff_tally,
    ff_tally_append,
    ff_tally_rehash,
    ff_tally_scan,
    ff_tally_signatures,
    ff_tally_sources,
    ff_traffic_names,
)

from fastflow.errors import InternalError

HEADER_BYTES = FF_PCAP_HEADER_BYTES
RECORD_MAX_BYTES = FF_PCAP_RECORD_MAX_BYTES
TRAFFICS = tuple(ff_traffic_names[i].decode() for i in range(FF_N_TRAFFICS))


cdef list _names(const ff_name *names, int n):
    return [
        (names[i].name.decode(), names[i].group.decode(), names[i].text.decode())
        for i in range(n)
    ]


FAULTS = tuple(_names(ff_fault_names, FF_N_FAULTS))
STATES = tuple(_names(ff_state_names, FF_N_STATES))
REASONS = tuple(_names(ff_reason_names, FF_REASON_STATES - 1))
FLAGS = tuple(_names(ff_flag_names, FF_N_FLAGS))


def source_hash():
    """Return the hash of native/ that this binary was built from."""
    return FF_SOURCE_HASH.decode()


def fields():
    """Return a dict per packet column, in order, from the native table."""
    return [
        {
            "name": ff_fields[i].name.decode(),
            "arrow": ff_fields[i].arrow.decode(),
            "unit": ff_fields[i].unit.decode(),
            "source": ff_fields[i].source.decode(),
            "width_bytes": ff_fields[i].width_bytes,
            "dictionary": _dict_name(ff_fields[i].dict),
            "layer": ff_fields[i].layer,
            "derived": i >= FF_FIRST_DERIVED_COL,
        }
        for i in range(FF_N_COLS)
    ]


cdef object _dict_name(int kind):
    return None if kind == FF_DICT_none else ff_dict_names[kind].decode()


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
            "dictionary": _dict_name(table[i].dict),
        }
        for i in range(n)
    ]


cdef void *_regrow(void **array, size_t n_bytes) noexcept nogil:
    """Grow an array in place; NULL, and the array as it was, where memory is out."""
    cdef void *grown = PyMem_RawRealloc(array[0], n_bytes)
    if grown != NULL:
        array[0] = grown
    return grown


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


cdef bint _grow_slots(void **slots, size_t *n_slots, size_t width, size_t used) \
        noexcept nogil:
    """Replace slots that would be more than half used by zeroed ones, twice as many."""
    cdef size_t n = n_slots[0]
    while n // 2 < used:
        n *= 2
    cdef void *fresh = PyMem_RawCalloc(n, width)
    if fresh == NULL:
        return False
    PyMem_RawFree(slots[0])
    slots[0] = fresh
    n_slots[0] = n
    return True


cdef bint _make_dict_room(ff_dict *d, size_t n) noexcept nogil:
    """Make room for n more entries; False where memory is out."""
    cdef size_t entries = d.n_entries + n
    cdef size_t text = d.text_bytes + n * d.text_max
    if entries > d.entries_cap:
        entries *= 2
        if _regrow(<void **> &d.keys, entries * d.key_bytes) == NULL:
            return False
        if _regrow(<void **> &d.offsets, (entries + 1) * sizeof(int64_t)) == NULL:
            return False
        if d.entries_cap == 0:
            d.offsets[0] = 0
        d.entries_cap = entries
    if text > d.text_cap:
        if _regrow(<void **> &d.text, text * 2) == NULL:
            return False
        d.text_cap = text * 2
    if d.n_slots // 2 < d.n_entries + n:
        if not _grow_slots(
            <void **> &d.slots, &d.n_slots, sizeof(uint32_t), d.n_entries + n
        ):
            return False
        ff_dict_rehash(d)
    return True


cdef int _init_dict(
    ff_dict *d, size_t key_bytes, size_t text_max, uint64_t seed
) except -1:
    d.key_bytes = key_bytes
    d.text_max = text_max
    d.seed = seed
    d.n_slots = 4 * FF_CHUNK_ROWS
    d.slots = <uint32_t *> PyMem_RawCalloc(d.n_slots, sizeof(uint32_t))
    if d.slots == NULL:
        raise MemoryError
    return 0


cdef void _free_dict(ff_dict *d) noexcept:
    PyMem_RawFree(d.keys)
    PyMem_RawFree(d.offsets)
    PyMem_RawFree(d.text)
    PyMem_RawFree(d.slots)


cdef class Lexicon:
    """The option lists and signatures that codes refer to, and their texts.

    Parameters
    ----------
    seed : int
        Of the hash; no result depends on it.
    """

    cdef ff_lexicon *lexicon

    def __cinit__(self, uint64_t seed):
        self.lexicon = <ff_lexicon *> calloc(1, sizeof(ff_lexicon))
        if self.lexicon == NULL:
            raise MemoryError
        _init_dict(&self.lexicon.kinds, FF_KINDS_KEY_BYTES, FF_KINDS_TEXT_MAX, seed)
        _init_dict(&self.lexicon.signatures, FF_SIG_KEY_BYTES, FF_SIG_TEXT_MAX, seed)
        if not self.make_room(FF_CHUNK_ROWS):
            raise MemoryError

    def __dealloc__(self):
        if self.lexicon != NULL:
            _free_dict(&self.lexicon.kinds)
            _free_dict(&self.lexicon.signatures)
            free(self.lexicon)

    cdef bint make_room(self, size_t n) noexcept nogil:
        return (
            _make_dict_room(&self.lexicon.kinds, n)
            and _make_dict_room(&self.lexicon.signatures, n)
        )

    def clear(self):
        """Forget every entry; codes handed out so far are void."""
        ff_lexicon_clear(self.lexicon)

    def size(self, str name):
        """Return the number of entries of `kinds` or `signatures`."""
        return self._dict(name).n_entries

    def texts(self, str name):
        """Return the texts of `kinds` or `signatures` by code, for Arrow.

        Returns
        -------
        text : bytes
            All texts, one after the other.
        offsets : bytes
            int64, one more than there are entries.
        """
        cdef ff_dict *d = self._dict(name)
        return (
            (<char *> d.text)[:d.text_bytes],
            (<char *> d.offsets)[:(d.n_entries + 1) * sizeof(int64_t)],
        )

    cdef ff_dict *_dict(self, str name) except NULL:
        if name == "kinds":
            return &self.lexicon.kinds
        if name == "signatures":
            return &self.lexicon.signatures
        raise ValueError(f"no dictionary is called {name!r}")


cdef class Scanner:
    """Reads one capture, block by block; not thread-safe, one per capture.

    Parameters
    ----------
    lexicon : Lexicon
        Where option lists and signatures get their codes.
    ts_min_ns, ts_end_ns : int
        The plausible times, min <= ts < end, nanoseconds since 1970 UTC, not negative.
    """

    cdef ff_scan *scan
    cdef ff_columns columns
    cdef readonly Lexicon lexicon
    cdef object arena  # keeps what `columns` points into

    def __cinit__(self, Lexicon lexicon not None, int64_t ts_min_ns, int64_t ts_end_ns):
        if ts_min_ns < 0:
            raise ValueError("plausible times begin in 1970 at the earliest")
        self.scan = <ff_scan *> calloc(1, sizeof(ff_scan))
        if self.scan == NULL:
            raise MemoryError
        self.lexicon = lexicon
        self.scan.lexicon = lexicon.lexicon
        self.scan.ts_min_ns = ts_min_ns
        self.scan.ts_end_ns = ts_end_ns
        memset(&self.columns, 0, sizeof(self.columns))

    def __dealloc__(self):
        free(self.scan)

    def open(self, const uint8_t[::1] head not None):
        """Read the file header from a capture's first bytes, all if they are few."""
        cdef const uint8_t *p = &head[0] if head.shape[0] else NULL
        ff_scan_open(self.scan, p, head.shape[0])

    def bind(self, uint8_t[::1] arena not None, dict values, dict valid, size_t rows):
        """Name the memory that the next `rows` packets are decoded into.

        Parameters
        ----------
        arena : uint8, writable, C-contiguous
            Borrowed until the next bind().
        values, valid : dict[int, int]
            Byte offsets in the arena: of each wanted column's values, of each wanted
            layer's validity bits.
        rows : int
            Capacity of each column.
        """
        cdef size_t size = arena.shape[0]
        cdef size_t offset, width
        cdef uint32_t needs = 0
        if rows == 0:
            raise ValueError("no room for a row")
        memset(&self.columns, 0, sizeof(self.columns))
        for column, offset in values.items():
            if not 0 <= column < FF_N_COLS:
                raise IndexError("no such column")
            width = ff_fields[<int> column].width_bytes
            if offset > size or (size - offset) // width < rows:
                raise ValueError("the arena is too small for a column")
            self.columns.values[<int> column] = &arena[0] + offset
            needs |= <uint32_t> ff_fields[<int> column].needs
        for layer, offset in valid.items():
            if not 0 <= layer < FF_N_LAYERS:
                raise IndexError("no such layer")
            if offset > size or size - offset < (rows + 7) // 8:
                raise ValueError("the arena is too small for validity bits")
            self.columns.valid[<int> layer] = &arena[0] + offset
        self.columns.capacity_rows = rows
        self.columns.has_every_packet_field = all(
            column in values for column in range(FF_FIRST_DERIVED_COL)
        )
        self.scan.needs = needs
        self.arena = arena

    def read(self, const uint8_t[::1] block not None):
        """Decode a block into the bound columns.

        Returns
        -------
        consumed : int
            Bytes used up. The rest begins a record and must begin the next block.
        n_rows : int
            Rows in the columns now; the columns are full if it equals their capacity.
        """
        cdef size_t consumed = 0, step = 0
        cdef size_t n = block.shape[0]
        cdef const uint8_t *p = &block[0] if n else NULL
        cdef ff_outcome outcome
        cdef bint is_out_of_memory = False
        self._check_open()
        if n == 0:
            return 0, self.columns.n_rows
        with nogil:
            while True:
                outcome = ff_scan_columns(
                    self.scan, p + consumed, n - consumed, &self.columns, &step
                )
                consumed += step
                if outcome != FF_NEED_ROOM:
                    break
                if not self.lexicon.make_room(FF_CHUNK_ROWS):
                    is_out_of_memory = True
                    break
        if is_out_of_memory:
            raise MemoryError
        return consumed, self.columns.n_rows

    def end(self, size_t n_left):
        """Say that the capture ends with n_left bytes that are no whole record."""
        ff_scan_end(self.scan, n_left)

    cdef int _check_open(self) except -1:
        if self.scan.file.record_header_bytes == 0:
            raise InternalError("blocks were read before the file header")
        return 0

    @property
    def fault(self):
        """The fault's name, or None while nothing is wrong."""
        if self.scan.fault == FF_FAULT_none:
            return None
        return ff_fault_names[<int> self.scan.fault].name.decode()

    @property
    def offset_bytes(self):
        """Where the next record begins, from the capture's beginning."""
        return self.scan.offset_bytes

    @property
    def n_records(self):
        """Records met so far."""
        return self.scan.n_records

    @property
    def n_counted(self):
        """Records that are counted: plausible time, valid IP header."""
        return self.scan.reasons[FF_REASON_counted]

    @property
    def uncounted(self):
        """Records not counted, by reason; only reasons that occurred."""
        cdef int i
        found = {}
        for i in range(1, FF_N_REASONS):
            if self.scan.reasons[i] == 0:
                continue
            if i < FF_REASON_STATES:
                name = ff_reason_names[i - 1].name
            else:
                name = ff_state_names[i - FF_REASON_STATES].name
            found[name.decode()] = self.scan.reasons[i]
        return found

    @property
    def flags(self):
        """Oddities of the capture, by name; only those that occurred."""
        return {
            ff_flag_names[i].name.decode(): self.scan.flags[i]
            for i in range(FF_N_FLAGS)
            if self.scan.flags[i]
        }

    @property
    def first_ts_ns(self):
        """Earliest plausible time, or None."""
        is_none = self.scan.first_ts_ns > self.scan.last_ts_ns
        return None if is_none else self.scan.first_ts_ns

    @property
    def last_ts_ns(self):
        """Latest plausible time, or None."""
        is_none = self.scan.first_ts_ns > self.scan.last_ts_ns
        return None if is_none else self.scan.last_ts_ns

    @property
    def header(self):
        """What the file header says."""
        return {
            "version": f"{self.scan.file.version_major}.{self.scan.file.version_minor}",
            "linktype": self.scan.file.linktype,
            "snaplen": self.scan.file.snaplen,
            "nanoseconds": self.scan.file.frac_per_sec == 1_000_000_000,
            "swapped": bool(self.scan.file.swapped),
        }


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
            if not _grow_slots(
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
        scanner._check_open()
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
                if not (
                    self.make_room(FF_CHUNK_ROWS)
                    and self.lexicon.make_room(FF_CHUNK_ROWS)
                ):
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
