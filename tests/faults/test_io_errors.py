"""A disk that is full, broken or read-only: at each call, once or for good."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from faults import check
from faults.cases import Aspect, Verdict, have_struck, report, strike
from faults.runner import Ran, Server, Servers
from faults.scenes import Stage
from faults.shim import (
    CHANGES,
    GROWTH,
    NEEDS_SHIM,
    WRITING,
    Call,
    Kind,
    Mode,
    Plan,
    counted,
)

pytestmark = NEEDS_SHIM

Verdicts = Callable[[str, str], list[Verdict]]


@dataclass(frozen=True)
class Fault:
    """An error, where it may come up, and whether it goes away again."""

    mode: Mode
    error: int
    kinds: frozenset[Kind]


_ANY = CHANGES | {Kind.OPEN_READ}
_INTERRUPTED = frozenset({Kind.OPEN_WRITE, Kind.WRITE, Kind.FSYNC})

FAULTS = {
    "full once": Fault(Mode.FAIL_ONCE, errno.ENOSPC, GROWTH),
    "stays full": Fault(Mode.FAIL_FROM, errno.ENOSPC, GROWTH),
    "breaks once": Fault(Mode.FAIL_ONCE, errno.EIO, _ANY - {Kind.FSYNC}),
    "stays broken": Fault(Mode.FAIL_FROM, errno.EIO, _ANY),
    "turns read-only": Fault(Mode.FAIL_FROM, errno.EROFS, WRITING),
    "fsync fails": Fault(Mode.FAIL_ONCE, errno.EIO, frozenset({Kind.FSYNC})),
    "close fails": Fault(Mode.FAIL_ONCE, errno.EIO, frozenset({Kind.CLOSE})),
    "interrupted": Fault(Mode.FAIL_ONCE, errno.EINTR, _INTERRUPTED),
    "writes half": Fault(Mode.CUT, 0, frozenset({Kind.WRITE})),
}


def _is_worth_it(fault: Fault, call: Call, calls: list[Call]) -> bool:
    """Return whether to strike at a call, rather than at one that is much like it."""
    if call.kind is Kind.CLOSE:  # of what was written; nothing else can fail
        return call.inode in {c.inode for c in calls if c.kind is Kind.WRITE}
    if fault.mode is Mode.FAIL_FROM:  # what fails at a read fails at the next change
        return call.kind in CHANGES
    return True


@pytest.fixture(scope="module")
def struck(servers: Servers, stage: Callable[[str], Stage]) -> Verdicts:
    """Let each call of a scene fail in turn."""

    @cache
    def made(scene: str, name: str) -> list[Verdict]:
        found, fault = stage(scene), FAULTS[name]
        calls = counted(found.calls, fault.kinds)
        plans = [
            Plan(fault.mode, number, fault.kinds, fault.error)
            for number, call in enumerate(calls, 1)
            if _is_worth_it(fault, call, found.calls)
        ]
        return servers.map(lambda server, plan: strike(server, found, plan), plans)

    return made


@pytest.mark.parametrize("aspect", Aspect, ids=lambda aspect: aspect.name.lower())
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scene", ["new", "more"])
def test_error_at_every_call(
    struck: Verdicts, scene: str, fault: str, aspect: Aspect
) -> None:
    verdicts = struck(scene, fault)
    assert have_struck(verdicts)
    assert not (problems := report(verdicts, aspect)), problems


@pytest.mark.parametrize("fault", ["interrupted", "writes half"])
def test_what_is_no_error_goes_unnoticed(struck: Verdicts, fault: str) -> None:
    """A write that was interrupted or cut short is gone on with."""
    codes = {verdict.code for verdict in struck("new", fault)}
    assert codes == {0}


def mount(*arguments: object) -> None:
    """Mount, or skip the test where that is not allowed."""
    done = subprocess.run(
        ["mount", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no right to mount: {done.stderr.strip()}")


@contextmanager
def mounted(where: Path, *arguments: object) -> Iterator[None]:
    """Have something mounted for the length of a block."""
    if os.geteuid() != 0:
        pytest.skip("no right to mount: not root")
    where.mkdir(parents=True, exist_ok=True)
    mount(*arguments, where)
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


def reduce(servers: Servers, stage: Stage, below: Path) -> Ran:
    def work(server: Server, _: None) -> Ran:
        return server.run(stage.arguments(below))

    return servers.map(work, [None])[0]


@pytest.mark.parametrize("size_kb", [4, 8, 16, 24, 32, 48])
def test_a_disk_that_is_too_small(
    servers: Servers, stage: Callable[[str], Stage], tmp_path: Path, size_kb: int
) -> None:
    """A real one: the errors are the kernel's, and come where they come."""
    made = stage("new")
    with mounted(tmp_path, "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs"):
        (tmp_path / "stores").mkdir()
        ran = reduce(servers, made, tmp_path)
        if ran.code != 0:
            assert ran.code == 1
            assert check.message_problem(ran.err, tmp_path) is None
            assert "o space left" in ran.err
        mount("-o", "remount,size=1m", tmp_path)
        again = reduce(servers, made, tmp_path)
        assert again.code == 0, again.err
        view = check.look(made.store(tmp_path))
        assert view.problems() == []
        assert check.difference(check.canonical(view), made.expected) is None
        assert check.leftovers(view) == []


def test_a_store_that_is_read_only_can_be_read(
    servers: Servers, stage: Callable[[str], Stage], tmp_path: Path
) -> None:
    made = stage("more")
    below = tmp_path / "sandbox"
    made.copy_to(below)
    with mounted(below, "--bind", below):
        mount("-o", "remount,bind,ro", below)
        ran = reduce(servers, made, below)
        assert ran.code == 1
        assert check.message_problem(ran.err, below) is None
        assert check.look(made.store(below)).ids == made.known
    assert reduce(servers, made, below).code == 0
    view = check.look(made.store(below))
    assert check.difference(check.canonical(view), made.expected) is None
