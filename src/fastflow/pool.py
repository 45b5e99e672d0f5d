"""Captures of very different sizes, shared among workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def large_ones(sizes: Sequence[int], workers: int) -> set[int]:
    """Return the jobs that would keep one worker busy when the others are done.

    Those above half of a worker's fair share, at most twice as many as workers: they
    are begun first, and done by several workers where that is possible.
    """
    limit = sum(sizes) / (2 * workers)
    return {number for number, size in enumerate(sizes) if size > limit}


def in_order(
    work: Callable[[int, int], T], sizes: Sequence[int], workers: int
) -> Iterator[T]:
    """Do jobs on several threads; yield their results in the order of their numbers.

    Parameters
    ----------
    work : callable
        Takes a job's number, and how many workers may do it: all of them a large one.
    sizes : sequence of int
        Of each job, in whatever unit.
    workers : int
        Threads; with one, the calling one.

    Notes
    -----
    Large jobs are begun first. Few results wait at a time, so that memory does not grow
    with the number of jobs.
    """
    large = large_ones(sizes, workers)

    def do(number: int) -> T:
        return work(number, workers if number in large else 1)

    if min(workers, len(sizes)) == 1:
        yield from map(do, range(len(sizes)))
        return
    with ThreadPoolExecutor(workers, "fastflow-reduce") as pool:
        begun: dict[int, Future[T]] = {}
        for number in sorted(large, key=lambda number: -sizes[number]):
            begun[number] = pool.submit(do, number)
        waiting: deque[Future[T]] = deque()
        try:
            for number in range(len(sizes)):
                is_begun = number in begun
                waiting.append(
                    begun.pop(number) if is_begun else pool.submit(do, number)
                )
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in (*waiting, *begun.values()):
                future.cancel()
