"""Which capture is this? The identity of its bytes, whatever it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from blake3 import blake3

from fastflow.outcome import ScanStats
from fastflow.phases import NO_PHASES, Phases
from fastflow.reader import READ_ON_BYTES, first_record_end
from fastflow.schema import Beginnings
from fastflow.sources.part import Abandoned, FilePart
from fastflow.sources.stream import open_stream

#: Bytes that are read and hashed at a time.
_BLOCK_BYTES = 1 << 19

#: Bytes that the first packet's record must end in, for growth to be seen: of eight
#: packets as long as IP allows.
_FIRST_BYTES = 1 << 19


def size_of(input_id: str) -> int:
    """Return how many bytes an id is of."""
    return int(input_id.rpartition("-")[2])


#: The sizes of the captures that are known to begin with the same first packet.
Sizes = Callable[[str], Iterable[int]]


class Digest:
    """The identity of a capture: size and BLAKE3 hash of its decompressed bytes.

    Of a damaged capture, those up to READ_ON_BYTES behind the damage. On its way it
    takes the ids of those beginnings that may be a capture of their own.

    Parameters
    ----------
    sizes : callable
        Asked with the capture's head for sizes of such beginnings.

    Attributes
    ----------
    n_bytes : int
        How many have been hashed.
    end_bytes : int
        Where the bytes that are hashed end, unless the capture does before.
    """

    def __init__(self, sizes: Sizes, phases: Phases = NO_PHASES) -> None:
        self.n_bytes = 0
        self.end_bytes = sys.maxsize
        self._hash = blake3()
        self._phases = phases
        self._sizes = sizes
        self._first = bytearray()
        self._head: str | None = None
        self._wanted: list[int] | None = None  # sizes to come, None: not known yet
        self._ids: dict[int, str] = {}

    def anew(self) -> Digest:
        """Return a digest for the same capture that has seen nothing yet."""
        return Digest(self._sizes, self._phases)

    def limit(self, damage_bytes: int) -> None:
        """Set the end, where the damage is known; no more may have been hashed."""
        self.end_bytes = damage_bytes + READ_ON_BYTES

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""
        with self._phases.phase("hash"):
            piece = data[: max(self.end_bytes - self.n_bytes, 0)]
            if self._wanted is None:
                self._first += piece[: _FIRST_BYTES - len(self._first)]
                if len(self._first) == _FIRST_BYTES:
                    self._look_up()
            while self._wanted and self._wanted[-1] <= self.n_bytes + len(piece):
                n = self._wanted.pop() - self.n_bytes
                self._add(piece[:n])
                self._ids[self.n_bytes] = self._id()
                piece = piece[n:]
            self._add(piece)

    def _add(self, piece: memoryview) -> None:
        self._hash.update(piece)
        self.n_bytes += len(piece)

    def _look_up(self) -> None:
        """See who begins alike, and let go of the first bytes."""
        first, self._first = self._first, bytearray()
        self._wanted = []
        end = first_record_end(first)
        if end is None:
            return
        self._head = blake3(first[:end]).hexdigest(length=16)
        for size in sorted(self._sizes(self._head), reverse=True):
            if size <= len(first):
                self._ids[size] = f"{blake3(first[:size]).hexdigest()}-{size}"
            else:
                self._wanted.append(size)

    def _id(self) -> str:
        return f"{self._hash.hexdigest()}-{self.n_bytes}"

    def finish(self, stats: ScanStats, sensor: str, path: str) -> str:
        """Return the id; captures without packets differ by sensor and path."""
        if self._wanted is None:
            self._look_up()
        if stats.records == 0:
            self._hash.update(f"\0{sensor}\0{path}".encode(errors="surrogateescape"))
        return self._id()

    @property
    def beginnings(self) -> Beginnings:
        """What was found on the way, once it is finished."""
        return Beginnings(self._head, self._ids)


def id_of_beginning(path: str, n_bytes: int) -> str | None:
    """Read a file once more; return the id that its first bytes have.

    None where it cannot be read, or is shorter.
    """
    digest = Digest(lambda head: ())
    block = memoryview(bytearray(_BLOCK_BYTES))
    try:
        stream = open_stream(path)
        try:
            while left := n_bytes - digest.n_bytes:
                if not (n_new := stream.readinto(block[:left])):
                    return None
                digest.update(block[:n_new])
        finally:
            stream.close()
    except OSError:
        return None
    return digest._id()


class DigestBeside:
    """Hashes a regular file in a thread of its own, while others read its parts.

    Parameters
    ----------
    fd : int
        Of the file; stays its owner's.
    digest : Digest
        Of the file's first bytes already.
    """

    def __init__(self, fd: int, digest: Digest, phases: Phases = NO_PHASES) -> None:
        self._fd = fd
        self._digest = digest
        self._phases = phases
        self._stop = Event()
        self._pool = ThreadPoolExecutor(1, "fastflow-hash")
        self._done: Future[None] = self._pool.submit(self._hash_rest, digest)

    def finish(self) -> Digest:
        """Return the digest of the whole file, as far as it goes now."""
        self._done.result()
        return self._digest

    def finish_damaged(self, damage_bytes: int) -> Digest:
        """Return the digest of a file that is damaged at an offset."""
        self.stop()
        digest = self._digest.anew()
        digest.limit(damage_bytes)
        self._stop.clear()
        self._hash_rest(digest)
        return digest

    def stop(self) -> None:
        """Hash no more, and wait until nothing is."""
        self._stop.set()
        self._pool.shutdown()

    def _hash_rest(self, digest: Digest) -> None:
        part = FilePart(self._fd, self._stop)
        part.seek(digest.n_bytes, sys.maxsize)
        block = memoryview(bytearray(_BLOCK_BYTES))
        while digest.n_bytes < digest.end_bytes:
            try:
                with self._phases.phase("read"):
                    n_new = part.readinto(block)
            except Abandoned:
                return
            if n_new == 0:
                return
            digest.update(block[:n_new])
