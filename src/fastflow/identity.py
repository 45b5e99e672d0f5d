"""Which capture is this? The identity of its bytes, whatever it is called."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from blake3 import blake3

from fastflow.outcome import ScanStats
from fastflow.phases import NO_PHASES, Phases
from fastflow.reader import READ_ON_BYTES
from fastflow.sources.part import Abandoned, FilePart

#: Bytes that are read and hashed at a time.
_BLOCK_BYTES = 1 << 19


class Digest:
    """The identity of a capture: size and BLAKE3 hash of its decompressed bytes.

    Of a damaged capture, those up to READ_ON_BYTES behind the damage.

    Attributes
    ----------
    n_bytes : int
        How many have been hashed.
    end_bytes : int
        Where the bytes that are hashed end, unless the capture does before.
    """

    def __init__(self, phases: Phases = NO_PHASES) -> None:
        self.n_bytes = 0
        self.end_bytes = sys.maxsize
        self._hash = blake3()
        self._phases = phases

    def limit(self, damage_bytes: int) -> None:
        """Set the end, where the damage is known; no more may have been hashed."""
        self.end_bytes = damage_bytes + READ_ON_BYTES

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""
        with self._phases.phase("hash"):
            piece = data[: max(self.end_bytes - self.n_bytes, 0)]
            self._hash.update(piece)
            self.n_bytes += len(piece)

    def input_id(self, stats: ScanStats, sensor: str, path: str) -> str:
        """Return the id; captures without packets differ by sensor and path."""
        if stats.records == 0:
            self._hash.update(f"\0{sensor}\0{path}".encode(errors="surrogateescape"))
        return f"{self._hash.hexdigest()}-{self.n_bytes}"


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
        digest = Digest(self._phases)
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
