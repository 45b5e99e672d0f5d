"""The scanner: a driver over the headers of native/include.

No protocol knowledge here: checks of arguments, memory, the GIL. It is released once
per call; memory grows without it.
"""

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastflow._bpf cimport Filter
from fastflow._c cimport (
    FF_CHUNK_ROWS,
    FF_FAULT_none,
    FF_FIRST_DERIVED_COL,
    FF_FORMAT_none,
    FF_FORMAT_pcap,
    FF_FORMAT_pcapng,
    FF_KINDS_KEY_BYTES,
    FF_KINDS_TEXT_MAX,
    FF_LINK_UNSUPPORTED,
    FF_N_COLS,
    FF_N_FAULTS,
    FF_N_FLAGS,
    FF_N_LAYERS,
    FF_N_LINKS,
    FF_N_REASONS,
    FF_N_STATES,
    FF_N_TRAFFICS,
    FF_N_TUNNELS,
    FF_NEED_ROOM,
    FF_PCAP_HEADER_BYTES,
    FF_PCAPNG_INTERFACES_MAX,
    FF_REASON_STATES,
    FF_REASON_counted,
    FF_RECORD_MAX_BYTES,
    FF_SIG_KEY_BYTES,
    FF_SIG_TEXT_MAX,
    FF_SOURCE_HASH,
    ff_capture,
    ff_capture_dropped,
    ff_capture_head_bytes,
    ff_dict,
    ff_dict_rehash,
    ff_fault_names,
    ff_fields,
    ff_flag_names,
    ff_format_names,
    ff_interface,
    ff_lexicon,
    ff_lexicon_clear,
    ff_links,
    ff_name,
    ff_outcome,
    ff_reason_names,
    ff_scan,
    ff_scan_begin_part,
    ff_scan_can_part,
    ff_scan_columns,
    ff_scan_end,
    ff_scan_is_at_limit,
    ff_scan_join,
    ff_scan_offset,
    ff_scan_open,
    ff_state_names,
    ff_sync_find,
    ff_sync_sec,
    ff_traffic_names,
    ff_tunnels,
)
from fastflow._c_bpf cimport ff_bpf, ff_span
from fastflow._tool cimport Rules

from fastflow.errors import InternalError

RECORD_MAX_BYTES = FF_RECORD_MAX_BYTES
LINKTYPES = tuple(ff_links[i].linktype for i in range(FF_N_LINKS))
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
TUNNELS = tuple(
    (ff_tunnels[i].name.decode(), ff_tunnels[i].text.decode())
    for i in range(FF_N_TUNNELS)
)


def source_hash():
    """Return the hash of native/ that this binary was built from."""
    return FF_SOURCE_HASH.decode()


def head_bytes(const uint8_t[::1] head not None):
    """Return how many first bytes of a capture `Scanner.open` needs, seeing some."""
    cdef ff_span s
    s.p = &head[0] if head.shape[0] else NULL
    s.n = head.shape[0]
    return ff_capture_head_bytes(s)


def fields():
    """Return a dict per packet column, in order, from the native table."""
    return [
        {
            "name": ff_fields[i].name.decode(),
            "arrow": ff_fields[i].arrow.decode(),
            "unit": ff_fields[i].unit.decode(),
            "source": ff_fields[i].source.decode(),
            "width_bytes": ff_fields[i].width_bytes,
            "dictionary": dict_name(ff_fields[i].dict),
            "layer": ff_fields[i].layer,
            "derived": i >= FF_FIRST_DERIVED_COL,
        }
        for i in range(FF_N_COLS)
    ]


cdef void *_regrow(void **array, size_t n_bytes) noexcept nogil:
    """Grow an array in place; NULL, and the array as it was, where memory is out."""
    cdef void *grown = PyMem_RawRealloc(array[0], n_bytes)
    if grown != NULL:
        array[0] = grown
    return grown


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
        if not grow_slots(
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
    filter : Filter or None
        What a packet must match, to be decoded and counted.
    decap : int
        The tunnels that are opened: a bit for each of TUNNELS.
    tools : Rules or None
        What tells the tools that packets were sent by; None: no tool is known.
    """

    def __cinit__(
        self,
        Lexicon lexicon not None,
        int64_t ts_min_ns,
        int64_t ts_end_ns,
        *,
        Filter filter=None,
        uint32_t decap=0,
        Rules tools=None,
    ):
        cdef const ff_bpf *program
        cdef int i
        if ts_min_ns < 0:
            raise ValueError("plausible times begin in 1970 at the earliest")
        self.scan = <ff_scan *> calloc(1, sizeof(ff_scan))
        if self.scan == NULL:
            raise MemoryError
        self.lexicon = lexicon
        self.scan.lexicon = lexicon.lexicon
        self.scan.ts_min_ns = ts_min_ns
        self.scan.ts_end_ns = ts_end_ns
        self.scan.decap = decap
        self.tools = Rules([]) if tools is None else tools
        self.scan.tools = &self.tools.tools
        self.filter = filter
        self.scan.has_filter = filter is not None
        if filter is not None:
            for i in range(FF_N_LINKS):
                program = filter.program(ff_links[i].linktype)
                if program != NULL:
                    self.scan.filters[i] = program[0]
        memset(&self.columns, 0, sizeof(self.columns))

    def __dealloc__(self):
        if self.scan != NULL:
            PyMem_RawFree(self.scan.capture.pcapng.interfaces)
            free(self.scan)

    cdef bint make_room(self) noexcept nogil:
        """Make room for what the next chunk may hold; False where memory is out."""
        cdef size_t n = self.scan.capture.pcapng.interfaces_cap
        if not self.lexicon.make_room(FF_CHUNK_ROWS):
            return False
        if n > self.scan.capture.pcapng.n_interfaces:
            return True
        n = min(max(2 * n, <size_t> 4), <size_t> FF_PCAPNG_INTERFACES_MAX)
        if _regrow(
            <void **> &self.scan.capture.pcapng.interfaces, n * sizeof(ff_interface)
        ) == NULL:
            return False
        self.scan.capture.pcapng.interfaces_cap = n
        return True

    def open(self, const uint8_t[::1] head not None):
        """Read the file header from a capture's first bytes, all if they are few."""
        cdef const uint8_t *p = &head[0] if head.shape[0] else NULL
        ff_scan_open(self.scan, p, head.shape[0])
        if self.can_part and head.shape[0] >= FF_PCAP_HEADER_BYTES + 4:
            self.near_sec = ff_sync_sec(
                &self.scan.capture.pcap, p + FF_PCAP_HEADER_BYTES
            )

    def part(self, Lexicon lexicon not None, uint64_t offset_bytes):
        """Return a scanner that begins at an offset of this one's classic pcap.

        What it finds is taken in with `join`, once this one has come to its beginning.
        """
        if not self.can_part:
            raise InternalError("only a classic pcap is scanned in parts")
        part = Scanner(
            lexicon,
            self.scan.ts_min_ns,
            self.scan.ts_end_ns,
            filter=self.filter,
            decap=self.scan.decap,
            tools=self.tools,
        )
        ff_scan_begin_part(part.scan, self.scan, offset_bytes)
        return part

    def join(self, Scanner part not None, uint64_t begin_bytes):
        """Take in what a part has found that began where this scanner has ended."""
        if begin_bytes != self.scan.consumed_bytes or self.fault is not None:
            raise InternalError("a part does not begin where the one before ends")
        ff_scan_join(self.scan, part.scan)

    def find_record(self, const uint8_t[::1] block not None):
        """Guess where the first record in a block of a classic pcap begins; or None."""
        cdef size_t n = block.shape[0], at
        cdef ff_span s
        s.p = &block[0] if n else NULL
        s.n = n
        if not self.can_part:
            raise InternalError("only a classic pcap is scanned in parts")
        with nogil:
            at = ff_sync_find(&self.scan.capture.pcap, self.near_sec, s)
        return at if at < n else None

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
        self.check_open()
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
                if not self.make_room():
                    is_out_of_memory = True
                    break
        if is_out_of_memory:
            raise MemoryError
        return consumed, self.columns.n_rows

    def end(self, size_t n_left):
        """Say that the capture ends with n_left bytes that are no whole record."""
        ff_scan_end(self.scan, n_left)

    cdef int check_open(self) except -1:
        if not self.scan.is_open:
            raise InternalError("blocks were read before the file header")
        return 0

    @property
    def can_part(self):
        """Whether it is a classic pcap, in which records can be found anywhere."""
        return ff_scan_can_part(self.scan)

    @property
    def limit_bytes(self):
        """Records that begin at this offset or behind are left alone."""
        return self.scan.limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, uint64_t limit_bytes):
        self.scan.limit_bytes = limit_bytes

    @property
    def is_at_limit(self):
        """Whether what comes next begins at the limit or behind."""
        return ff_scan_is_at_limit(self.scan)

    @property
    def fault(self):
        """The fault's name, or None while nothing is wrong."""
        if self.scan.fault == FF_FAULT_none:
            return None
        return ff_fault_names[<int> self.scan.fault].name.decode()

    @property
    def offset_bytes(self):
        """Where the record or block at hand begins, from the capture's beginning."""
        return ff_scan_offset(self.scan)

    @property
    def consumed_bytes(self):
        """Bytes used up, a block that is being passed over included."""
        return self.scan.consumed_bytes

    @property
    def n_records(self):
        """Records met so far."""
        return self.scan.n_records

    @property
    def n_counted(self):
        """Records that are counted: plausible time, filter matched, valid IP header."""
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
    def dropped(self):
        """Packets that the capture says were lost before they reached it, or None."""
        cdef uint64_t n = 0
        return n if ff_capture_dropped(&self.scan.capture, &n) else None

    @property
    def linktypes(self):
        """LINKTYPE_ numbers met; of those that are not decoded the first."""
        found = [
            ff_links[i].linktype for i in range(FF_N_LINKS) if self.scan.links >> i & 1
        ]
        if self.scan.links >> FF_LINK_UNSUPPORTED & 1:
            found.append(self.scan.unsupported_linktype)
        return sorted(found)

    @property
    def header(self):
        """What the capture's beginning says of it; pcapng: its latest section."""
        cdef ff_capture *c = &self.scan.capture
        if c.format == FF_FORMAT_none:
            return {}
        found = {"format": ff_format_names[c.format].decode()}
        if c.format == FF_FORMAT_pcap and c.pcap.version_major:
            found["version"] = f"{c.pcap.version_major}.{c.pcap.version_minor}"
            found["linktype"] = c.pcap.on.linktype
            found["snaplen"] = c.pcap.on.snaplen
            found["nanoseconds"] = c.pcap.frac_per_sec == 1_000_000_000
            found["swapped"] = bool(c.pcap.swapped)
        elif c.format == FF_FORMAT_pcapng and c.pcapng.version_major:
            found["version"] = f"{c.pcapng.version_major}.{c.pcapng.version_minor}"
            found["swapped"] = bool(c.pcapng.swapped)
            found["interfaces"] = c.pcapng.n_described
        return found
