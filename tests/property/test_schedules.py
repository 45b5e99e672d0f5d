"""However captures arrive, and whatever happens meanwhile: the counts are the same.

Random schedules of deliveries, second deliveries, renamings, compressed copies, runs at
the same time and runs that die. At the end one run takes in whatever there is, and the
store must hold, row by row, what a single run over the same captures gives.

A death is an exception at a random step of file output that only grows worse: whatever
is tried afterwards, tidying up included, fails as well, and the next run begins anew.
tests/faults/ kills real processes, at every call; here it is the order of things that
is random. FASTFLOW_SCHEDULES=10000 looks at more of them (300).
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastflow
import fastflow.counting
import fastflow.pipeline
from fastflow.split import can_split
from fastflow.stages.country import CountryTable, load_country_table
from faults import check
from faults.cases import sandbox
from faults.scenes import make_capture
from mmdb import make_mmdb
from strategies import relaxed

N_SCHEDULES = int(os.environ.get("FASTFLOW_SCHEDULES", "300"))

N_CAPTURES = 5
#: Captures are split among workers from this size on, so that tiny ones are.
PART_BYTES = 2000


class Killed(BaseException):
    """The process is dead: nothing in it may catch this, nor do anything more."""


#: Calls of file output that Python code makes; what deltalake does is done or not.
STEPS = ("open", "fsync", "mkdir", "rename", "replace", "link", "unlink")


@contextmanager
def killed_at(step: int, below: Path) -> Iterator[None]:
    """Die at the n-th step (from 0) of file output below a directory."""
    left = step
    lock = threading.Lock()

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def made(first: Any, *rest: Any, **named: Any) -> Any:
            nonlocal left
            # A descriptor is of the store: nothing else is synced.
            names = [str(one) for one in (first, *rest[:1])]
            is_ours = isinstance(first, int) or any(
                name.startswith(str(below)) for name in names
            )
            is_read = call is os_open and rest[:1] == (os.O_RDONLY,)
            if is_ours and not is_read:
                with lock:
                    left -= 1
                    if left < 0:
                        raise Killed
            return call(first, *rest, **named)

        return made

    os_open = os.open
    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, deadly(getattr(os, name)))
        with contextlib.suppress(Killed):
            yield


class World:
    """Captures in a directory, a store beside it, and what was done so far."""

    def __init__(self, root: Path, geo: CountryTable) -> None:
        self.captures, self.store = root / "captures", root / "store"
        self.captures.mkdir(parents=True)
        self._geo = geo
        self._there: dict[int, Path] = {}
        self._n_packets = [40 + 25 * number for number in range(N_CAPTURES)]
        self._last: tuple[list[int], int] | None = None
        self._n_names = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many packets each capture has by now."""
        return tuple(self._n_packets)

    def deliver(self, numbers: Sequence[int], workers: int) -> None:
        """Reduce captures, new ones and known ones, in this order."""
        self._last = (list(numbers), workers)
        # Named by the caller in an order that need not be that of the names.
        fastflow.reduce(
            [self._path(number) for number in numbers],
            self.store,
            "tokyo-1",
            geo=self._geo,
            workers=workers,
        )

    def split(self, numbers: Sequence[int], workers: int) -> None:
        """Reduce the same captures in two runs."""
        middle = len(numbers) // 2
        for part in (numbers[:middle], numbers[middle:]):
            if part:
                self.deliver(part, workers)

    def at_once(self, one: Sequence[int], other: Sequence[int], workers: int) -> None:
        """Reduce two sets of captures, which may overlap, at the same time."""
        for number in {*one, *other}:
            self._path(number)
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(self.deliver, part, workers) for part in (one, other)]
            for job in jobs:
                job.result()

    def retry(self) -> None:
        """Do the last run again, as an operator does who saw it fail."""
        if self._last is not None:
            self.deliver(*self._last)

    def rename(self, number: int, is_packed: bool) -> None:
        """Move a capture, perhaps compressed; its bytes are what they were."""
        old = self._path(number)
        data = self._bytes(number)
        old.unlink()
        self._there[number] = self._new_name(number, is_packed)
        self._there[number].write_bytes(gzip.compress(data) if is_packed else data)

    def grow(self, number: int, n_packets: int) -> None:
        """Append packets to a capture."""
        self._n_packets[number] += n_packets
        if number in self._there:
            self._there[number].write_bytes(self._bytes(number))

    def kill(self, numbers: Sequence[int], step: int, workers: int) -> None:
        """Begin to reduce captures, and die."""
        with killed_at(step, self.store):
            self.deliver(numbers, workers)

    def finish(self) -> check.Dump:
        """Reduce all there is; return what the store holds."""
        self.deliver(range(N_CAPTURES), 2)
        view = check.look(self.store)
        assert view.problems() == []
        return check.canonical(view)

    def _bytes(self, number: int) -> bytes:
        return make_capture(1000 * number, self._n_packets[number])

    def _path(self, number: int) -> Path:
        if number not in self._there:
            self._there[number] = self._new_name(number, False)
            self._there[number].write_bytes(self._bytes(number))
        return self._there[number]

    def _new_name(self, number: int, is_packed: bool) -> Path:
        self._n_names += 1
        # So that the order of the names is not that of the numbers.
        first = random.Random(self._n_names * N_CAPTURES + number).choice("abcdef")
        end = ".gz" if is_packed else ""
        return self.captures / f"{first}{self._n_names}.pcap{end}"


numbers = st.integers(0, N_CAPTURES - 1)
some = st.lists(numbers, min_size=1, max_size=N_CAPTURES)
workers = st.integers(1, 3)

#: A method of `World`, and what it is given.
steps = st.one_of(
    st.tuples(st.just("deliver"), some, workers),
    st.tuples(st.just("split"), some, workers),
    st.tuples(st.just("at_once"), some, some, workers),
    st.tuples(st.just("retry")),
    st.tuples(st.just("rename"), numbers, st.booleans()),
    st.tuples(st.just("kill"), some, st.integers(0, 70), workers),
    st.tuples(st.just("grow"), numbers, st.integers(1, 30)),
)


@pytest.fixture(scope="module")
def geo(tmp_path_factory: pytest.TempPathFactory) -> CountryTable:
    path = tmp_path_factory.mktemp("geo") / "geo.mmdb"
    path.write_bytes(make_mmdb({"203.0.113.0/24": {"country": {"iso_code": "JP"}}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path.parent))
        return load_country_table(path)


@pytest.fixture(scope="module", autouse=True)
def _small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small = partial(can_split, part_bytes=PART_BYTES)
        patch.setattr(fastflow.pipeline, "can_split", small)
        patch.setattr(fastflow.counting, "can_split", small)
        yield


@pytest.fixture(scope="module")
def straight(geo: CountryTable) -> Callable[[tuple[int, ...]], check.Dump]:
    """What one run over captures of these sizes gives."""

    @cache
    def made(sizes: tuple[int, ...]) -> check.Dump:
        with sandbox() as root:
            world = World(root, geo)
            world._n_packets = list(sizes)
            return world.finish()

    return made


@settings(relaxed(N_SCHEDULES))
@given(st.lists(steps, max_size=7))
def test_any_schedule_ends_as_a_single_run(
    geo: CountryTable,
    straight: Callable[[tuple[int, ...]], check.Dump],
    schedule: list[tuple[Any, ...]],
) -> None:
    with sandbox() as root:
        world = World(root, geo)
        for name, *arguments in schedule:
            getattr(world, name)(*arguments)
        found = world.finish()
    assert check.difference(found, straight(world.sizes)) is None
    assert found == straight(world.sizes)


def test_a_capture_that_grows_replaces_itself(
    geo: CountryTable, straight: Callable[[tuple[int, ...]], check.Dump]
) -> None:
    with sandbox() as root:
        world = World(root, geo)
        world.deliver([0, 1], 1)
        world.grow(0, 10)
        assert world.finish() == straight(world.sizes)


def test_a_death_stops_everything(tmp_path: Path, geo: CountryTable) -> None:
    """The schedules are worth nothing if nobody dies in them."""
    found = set()
    for step in range(70):
        world = World(tmp_path / str(step), geo)
        world.kill([0, 1], step, 2)
        files = [path.name for path in world.store.rglob("*") if path.is_file()]
        n_hidden = sum(name.startswith(".") for name in files)
        found.add((check.exists(world.store), n_hidden > 0, len(files) > 4))
        shutil.rmtree(tmp_path / str(step))
    assert found >= {(False, False, False), (True, True, False), (True, False, True)}
