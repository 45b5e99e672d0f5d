"""The shim sees everything that is written, and the pessimist is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from faults import power
from faults.cases import Aspect, Verdict, look_at, sandbox
from faults.runner import Server, Servers
from faults.scenes import SCENES, Stage
from faults.shim import (
    CHANGES,
    NEEDS_SHIM,
    Call,
    Kind,
    Mode,
    Plan,
    compile_shim,
    counted,
    read_log,
)

pytestmark = NEEDS_SHIM
ROOT = Path("/disk")


def replay(
    servers: Servers, stage: Stage, leave_out: Callable[[power.Disk, Call], bool]
) -> Verdict:
    """Lose power after a reduce, of which some calls were not made."""

    def work(server: Server, _: None) -> Verdict:
        with sandbox() as below:
            stage.copy_to(below)
            disk = power.Disk(below)
            ran = server.run(stage.arguments(below), Plan(), below)
            for call in ran.calls:
                if not leave_out(disk, call):
                    disk.apply(call)
        verdict = Verdict("")
        with sandbox() as after:
            power.write_tree(disk.synced(), after)
            look_at(stage, after, set(ran.acknowledged), verdict)
        return verdict

    return servers.map(work, [None])[0]


#: Every way to change a directory, by whoever calls libc.
CHANGER = """
import ctypes, os, sys
shim = ctypes.CDLL(None)
root, log = sys.argv[1:]
assert shim.shim_arm(root.encode(), 1, 0, ctypes.c_long(0), 0, log.encode()) == 0
os.chdir(root)
os.mkdir("d")
here = os.open(".", os.O_RDONLY)
os.mkdir("e", dir_fd=here)
made = os.open("d/a", os.O_RDWR | os.O_CREAT)
os.writev(made, [b"12", b"345", b""])
os.pwrite(made, b"xy", 8)
os.ftruncate(made, 9)
other = os.dup(made)
os.write(other, b"6")
os.fdatasync(other)
nameless = os.open("e", os.O_WRONLY | os.O_TMPFILE)
os.write(nameless, b"nameless")
os.link(f"/proc/self/fd/{nameless}", "e/named", src_dir_fd=here)
os.write(nameless, b", named")
os.rename("d/a", "e/b")
os.write(made, b"7")
os.link("e/b", "c", src_dir_fd=here, dst_dir_fd=here)
os.unlink("e/b")
os.pwrite(made, b"!", 0)
with open("appended", "ab") as file:
    file.write(b"1")
with open("appended", "ab") as file:
    file.write(b"2")
    file.flush()
    os.unlink("appended")
    file.write(b"3")
with open("c", "r+b") as file:
    file.write(b"?")
open("emptied", "wb").write(b"1")
open("emptied", "wb").close()
os.replace("emptied", "c")
os.rmdir("d")
os.mkdir("d")
"""


def test_every_way_to_change_a_directory_is_seen(tmp_path: Path) -> None:
    root, log = tmp_path / "root", tmp_path / "log"
    root.mkdir()
    disk = power.Disk(root)
    environment = {**os.environ, "LD_PRELOAD": str(compile_shim(tmp_path))}
    command = [sys.executable, "-c", CHANGER, str(root), str(log)]
    subprocess.run(command, env=environment, check=True)
    calls = read_log(log)
    for call in calls:
        disk.apply(call)
    assert disk.kept() == power.tree_of(root)
    assert {call.kind for call in calls} == set(Kind)


@pytest.mark.parametrize("scene", SCENES)
def test_the_shim_sees_all_that_is_written(
    servers: Servers, stage: Callable[[str], Stage], scene: str
) -> None:
    def work(server: Server, made: Stage) -> None:
        with sandbox() as below:
            made.copy_to(below)
            disk = power.Disk(below)
            ran = server.run(made.arguments(below), Plan(), below)
            for call in ran.calls:
                disk.apply(call)
            assert disk.kept() == power.tree_of(below)
            assert ran.counted == len(counted(ran.calls))
            assert {call.kind for call in ran.calls} >= {Kind.WRITE, Kind.FSYNC}

    servers.map(work, [stage(scene)] * 2)


def test_a_plan_strikes_where_it_says(
    servers: Servers, stage: Callable[[str], Stage]
) -> None:
    made = stage("new")

    def run(server: Server, plan: Plan) -> list[Call]:
        with sandbox() as below:
            made.copy_to(below)
            ran = server.run(made.arguments(below), plan, below)
            assert ran.fired
            assert (ran.code == -9) is (plan.mode.name.startswith("KILL"))
            return ran.calls

    plans = [
        Plan(Mode.KILL_BEFORE, 3, frozenset({Kind.WRITE})),
        Plan(Mode.KILL_AFTER, 3, frozenset({Kind.WRITE})),
        Plan(Mode.KILL_WITHIN, 3, frozenset({Kind.WRITE})),
        Plan(Mode.FAIL_ONCE, 3, frozenset({Kind.WRITE}), 28),
        Plan(Mode.CUT, 3, frozenset({Kind.WRITE})),
    ]
    before, after, within, failed, cut = (
        counted(calls, frozenset({Kind.WRITE})) for calls in servers.map(run, plans)
    )
    sizes = {len(c.data) for c in counted(made.calls, frozenset({Kind.WRITE}))}
    assert (len(before), len(after), len(within)) == (2, 3, 3)
    assert len(after[2].data) in sizes
    assert within[2].result == len(within[2].data) in {size // 2 for size in sizes}
    assert (failed[2].result, failed[2].error, failed[2].data) == (-1, 28, b"")
    assert len(cut[2].data) in {size // 2 for size in sizes}
    assert len(cut) == len(counted(made.calls, frozenset({Kind.WRITE}))) + 1


@pytest.mark.parametrize("what", ["every fsync", "fsyncs of files", "of directories"])
def test_a_writer_that_does_not_fsync_is_found_out(
    servers: Servers, stage: Callable[[str], Stage], what: str
) -> None:
    def leave_out(disk: power.Disk, call: Call) -> bool:
        wanted = {"fsyncs of files": False, "of directories": True}
        is_wanted = wanted.get(what) in (None, disk.is_directory(call))
        return call.kind is Kind.FSYNC and is_wanted

    assert not replay(servers, stage("more"), lambda disk, call: False).problems
    verdict = replay(servers, stage("more"), leave_out)
    assert Aspect.WHOLE in {problem.aspect for problem in verdict.problems}


def call(kind: Kind, path: str, other: str = "", **named: object) -> Call:
    given = {"result": 0, "error": 0, "offset": 0, "flags": 0, "inode": 0, "data": b""}
    to = ROOT / other if other else None
    return Call(kind, ROOT / path, to, **{**given, **named})  # type: ignore[arg-type]


def written(path: str, inode: int, data: bytes, sync: bool = True) -> list[Call]:
    """Return the calls of writing a file."""
    calls = [
        call(Kind.OPEN_WRITE, path, flags=os.O_CREAT, inode=inode),
        call(Kind.WRITE, path, inode=inode, result=len(data), data=data),
    ]
    return calls + [call(Kind.FSYNC, path, inode=inode)] * sync


def synced(path: str = ".") -> list[Call]:
    """Return the calls of an fsync of a directory."""
    return [
        call(Kind.OPEN_READ, path, inode=99),
        call(Kind.FSYNC, path, inode=99),
    ]


def disk(tmp_path: Path, *calls: list[Call]) -> power.Disk:
    found = power.Disk(tmp_path)
    found._path = ROOT
    for group in calls:
        for one in group:
            found.apply(one)
    return found


def test_a_name_is_sure_after_an_fsync_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    made = written("new", 7, b"12345678")
    moved = [call(Kind.RENAME, "old", "older")]
    assert disk(tmp_path, made, moved).synced() == {"old": b"old"}
    assert disk(tmp_path, made, moved, synced()).synced() == {
        "older": b"old",
        "new": b"12345678",
    }
    unsynced = disk(tmp_path, moved)
    found = {tuple(tree) for _, tree in unsynced.losses()}
    assert found == {("old",), ("older",)}, "a rename is never half done"


def test_data_are_sure_after_an_fsync_of_their_file(tmp_path: Path) -> None:
    loose = disk(tmp_path, written("f", 7, b"12345678", sync=False), synced())
    found = {tree["f"] for _, tree in loose.losses()}
    assert found == {b"", b"12345678", b"1234", bytes(8)}
    assert disk(tmp_path, written("f", 7, b"1"), synced()).synced() == {"f": b"1"}


def test_names_change_each_on_its_own(tmp_path: Path) -> None:
    made = [*written("a", 7, b"1"), *written("b", 8, b"2")]
    found = {frozenset(tree) for _, tree in disk(tmp_path, made).losses()}
    assert found == {frozenset(names) for names in ("", "a", "b", "ab")}


def test_a_directory_is_sure_after_an_fsync_of_the_one_above(tmp_path: Path) -> None:
    made = [call(Kind.MKDIR, "d"), *written("d/f", 7, b"1"), *synced("d")]
    assert disk(tmp_path, made).synced() == {}
    assert disk(tmp_path, made, synced()).synced() == {"d": None, "d/f": b"1"}


def test_a_link_shares_its_bytes(tmp_path: Path) -> None:
    made = written("t", 7, b"1", sync=False)
    linked = [call(Kind.LINK, "t", "f"), call(Kind.UNLINK, "t")]
    later = [call(Kind.FSYNC, "f", inode=7)]
    assert disk(tmp_path, made, linked, later, synced()).synced() == {"f": b"1"}


def test_a_file_without_a_name_gets_one_by_link(tmp_path: Path) -> None:
    made = [
        call(Kind.OPEN_WRITE, ".", flags=os.O_TMPFILE, inode=7),
        call(Kind.WRITE, "#7 (deleted)", inode=7, result=1, data=b"1"),
        call(Kind.FSYNC, "#7 (deleted)", inode=7),
        call(Kind.LINK, "#7 (deleted)", "f", inode=7),
    ]
    assert disk(tmp_path, made, synced()).synced() == {"f": b"1"}


def test_a_second_fsync_does_not_mend_the_first(tmp_path: Path) -> None:
    made = written("f", 7, b"12", sync=False)
    failed = [call(Kind.FSYNC, "f", inode=7, result=-1, error=5)]
    again = [call(Kind.FSYNC, "f", inode=7)]
    assert disk(tmp_path, made, failed, again, synced()).synced() == {"f": bytes(2)}


def test_every_kind_of_change_is_counted() -> None:
    assert frozenset(Kind) - CHANGES == {Kind.OPEN_READ, Kind.CLOSE}
