"""kill -9 and a full disk at each call of a repair: the next one comes to its end."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastflow.schema import ROW_TABLES
from faults import check
from faults.cases import sandbox
from faults.runner import Server, Servers
from faults.scenes import Stage
from faults.shim import GROWTH, NEEDS_SHIM, Mode, Plan, counted

pytestmark = NEEDS_SHIM


def entry(root: Path, version: int) -> Path:
    return root / "_delta_log" / f"{version:020}.json"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)


def lose(path: Path) -> None:
    path.write_bytes(b"x" * 1000 + b"\n")


def damage_files(root: Path) -> None:
    for kind in ROW_TABLES:
        flip(min((root / f"table={kind}").iterdir()))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "restored entries": lambda root: [flip(entry(root, n)) for n in (0, 1)],
    "a lost entry": lambda root: lose(entry(root, 1)),
    "a missing entry": lambda root: entry(root, 1).unlink(),
    "a lost and a restored entry": lambda root: (
        lose(entry(root, 1)),
        flip(entry(root, 2)),
    ),
    "files": damage_files,
}


@dataclass
class Case:
    """A damaged store, and what it held before.

    Attributes
    ----------
    files : set of str
        Its files: those that are replaced stay for a day.
    """

    stage: Stage
    base: Path
    expected: check.Dump
    files: set[str]
    n_calls: int = 0
    n_growths: int = 0

    def arguments(self, below: Path) -> list[object]:
        return ["store", "repair", "--json", "--store", self.stage.store(below)]


@pytest.fixture(scope="module", params=DAMAGES)
def case(
    request: pytest.FixtureRequest,
    servers: Servers,
    stage: Callable[[str], Stage],
    tmp_path_factory: pytest.TempPathFactory,
) -> Case:
    """A store that two runs have written, damaged then, and repaired without faults."""
    found = stage("more")
    directory = tmp_path_factory.mktemp("repair")

    def make(server: Server, damage: Callable[[Path], object]) -> Case:
        base, straight = directory / "base", directory / "straight"
        found.copy_to(base)
        assert server.run([*found.arguments(base), "--no-compact"]).code == 0
        view = check.look(found.store(base))
        made = Case(found, base, check.canonical(view), set(view.files))
        damage(found.store(base))
        shutil.copytree(base, straight)
        ran = server.run(made.arguments(straight), Plan(), straight)
        assert ran.code == 0, ran.err
        made.n_calls = len(counted(ran.calls))
        made.n_growths = len(counted(ran.calls, GROWTH))
        return made

    return servers.map(make, [DAMAGES[request.param]])[0]


def problems(server: Server, case: Case, plan: Plan) -> list[str]:
    """Repair under a plan, repair again, reduce what that lists, look."""
    found: list[str] = []
    with sandbox() as below:
        shutil.copytree(case.base, below)
        ran = server.run(case.arguments(below), plan, below)
        if plan.mode is Mode.FAIL_ONCE and "Traceback" in ran.err:
            found.append(ran.err)
        ran = server.run(case.arguments(below))
        if ran.code:
            return [f"{plan}: {ran.err}"]
        view = check.look(case.stage.store(below))
        found += view.problems()
        verify = ["store", "verify", "--store", case.stage.store(below)]
        ran_again = server.run(verify)
        found += [ran_again.err] if ran_again.code else []
        reopened = json.loads(ran.out)["reopened"]
        names = sorted(Path(one["path"]).name for one in reopened)
        if names:
            assert server.run(case.stage.arguments_for(names, below)).code == 0
        else:
            server.run(case.stage.arguments(below))  # removes what the dead have left
        view = check.look(case.stage.store(below))
        found += view.problems()
        different = check.difference(check.canonical(view), case.expected)
        found += [different] if different else []
        left = check.leftovers(view)
        found += [path for path in {*left} - case.files if not is_aside(path)]
    return [f"{plan}: {text}" for text in found]


def is_aside(path: str) -> bool:
    """Return whether a file was set aside for good."""
    return path.startswith("_aside/") and not path.startswith("_aside/.")


def told(servers: Servers, case: Case, plans: list[Plan]) -> list[str]:
    found = servers.map(lambda server, plan: problems(server, case, plan), plans)
    return [text for texts in found for text in texts]


def test_kill_at_every_call(servers: Servers, case: Case) -> None:
    assert case.n_calls > 10
    plans = [Plan(Mode.KILL_BEFORE, n) for n in range(1, case.n_calls + 1)]
    assert told(servers, case, plans) == []


def test_a_full_disk_at_every_call(servers: Servers, case: Case) -> None:
    plans = [
        Plan(Mode.FAIL_ONCE, n, GROWTH, errno.ENOSPC)
        for n in range(1, case.n_growths + 1)
    ]
    assert told(servers, case, plans) == []
