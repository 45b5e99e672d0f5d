"""One capture in parts: one after the other, or several at the same time.

Parts of a plain classic pcap are begun at guesses. A guess is right if the part before
ends exactly where this one began, which is known once that part is done; a part that
began anywhere else is read again from the right place. So a wrong guess costs time and
nothing else: the parts are those that one reader makes, one after the other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from threading import Event
from typing import Generic, TypeVar

from fastflow.reader import Found, PartReader, Reader

#: A part ends at the first record that begins at a multiple of this, or behind it:
#: large enough for a guess to cost nothing, small enough for some parts to wait.
PART_BYTES = 1 << 23

T = TypeVar("T")

#: Takes the records of a part until the reader's blocks end, and yields what it makes
#: of them. Several threads call it at once, each with a reader whose lexicon is new;
#: with one worker all parts share a reader and its lexicon, which the work may clear.
Work = Callable[[Reader], Iterator[T]]


def core_count() -> int:
    """Return how many threads can run at the same time."""
    return os.cpu_count() or 1


def can_split(reader: Reader, part_bytes: int = PART_BYTES) -> bool:
    """Return whether several threads can read a capture whose header has been read."""
    size_bytes = 0 if reader.stream.fd is None else reader.stream.size_bytes or 0
    return reader.scanner.can_part and size_bytes > part_bytes


def in_parts(
    reader: Reader, work: Work[T], workers: int, part_bytes: int = PART_BYTES
) -> Iterator[T]:
    """Yield what the work makes of each part, in order, however many workers there are.

    Parameters
    ----------
    reader : Reader
        Whose file header has been read; afterwards it knows what became of the capture.
    work : callable
        See `Work`.
    workers : int
        Threads that work; with one it is the calling thread. Only a plain classic pcap
        in a regular file of more than one part is for several.
    part_bytes : int
        The results depend on it, as far as the work makes them depend on parts.
    """
    if workers > 1 and can_split(reader, part_bytes):
        yield from _Split(reader, work, workers, part_bytes)
        return
    while not reader.has_ended:
        number = reader.scanner.consumed_bytes // part_bytes
        reader.scanner.limit_bytes = (number + 1) * part_bytes
        yield from work(reader)


@dataclass(frozen=True)
class _Guess(Generic[T]):
    """What came of a part that was begun where it may begin."""

    found: Found
    results: deque[T]


class _Split(Generic[T]):
    """The parts of a file, done by several threads."""

    def __init__(
        self, reader: Reader, work: Work[T], workers: int, part_bytes: int
    ) -> None:
        self._reader = reader
        self._work = work
        self._workers = workers
        self._part_bytes = part_bytes
        self._first_bytes = reader.scanner.consumed_bytes
        self._stop = Event()
        self._idle: deque[PartReader] = deque()

    def __iter__(self) -> Iterator[T]:
        first = self._reader.scanner.consumed_bytes // self._part_bytes
        n_parts = -(-(self._reader.stream.size_bytes or 0) // self._part_bytes)
        ahead = iter(range(first, n_parts))
        waiting: deque[Future[_Guess[T] | None]] = deque()
        pool = ThreadPoolExecutor(self._workers, "fastflow-part")
        try:
            for number in count(first):
                # One part more than workers: none is idle while results are taken.
                for following in islice(ahead, self._workers + 1 - len(waiting)):
                    waiting.append(pool.submit(self._guess, following))
                yield from self._part(number, waiting.popleft() if waiting else None)
                if self._reader.has_ended:
                    return
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)

    def _limit(self, number: int) -> int:
        return (number + 1) * self._part_bytes

    def _guess(self, number: int) -> _Guess[T] | None:
        """Do a part from where it may begin; None if nothing looks like that."""
        reader = self._take_reader()
        try:
            begin = max(number * self._part_bytes, self._first_bytes)
            if not reader.begin_by_guess(begin, self._limit(number)):
                return None
            results = deque(self._work(reader))
            return _Guess(reader.found(), results)
        finally:
            self._idle.append(reader)

    def _take_reader(self) -> PartReader:
        try:
            return self._idle.pop()
        except IndexError:
            return PartReader(self._reader, self._stop)

    def _part(self, number: int, guess: Future[_Guess[T] | None] | None) -> Iterator[T]:
        """Yield the results of the part that begins where the reader has ended."""
        begin, limit = self._reader.scanner.consumed_bytes, self._limit(number)
        if begin >= limit:
            return  # a record of the part before goes beyond this one
        # What failed may not have been this capture's; if it was, it fails again.
        if guess is not None and guess.exception() is None:
            done = guess.result()
            if done is not None and done.found.begin_bytes == begin:
                self._reader.join(done.found)
                while done.results:  # and hold none back that was taken
                    yield done.results.popleft()
                return
        reader = self._take_reader()
        reader.begin(begin, limit)
        yield from self._work(reader)
        self._reader.join(reader.found())
        self._idle.append(reader)
