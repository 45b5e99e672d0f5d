"""kill -9 and a full disk at each call of a compaction, and of an expiry."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults import check
from faults.cases import sandbox
from faults.runner import Server, Servers
from faults.scenes import Stage
from faults.shim import GROWTH, NEEDS_SHIM, Mode, Plan, counted

pytestmark = NEEDS_SHIM

COMMANDS = {
    "compact": ("compact",),
    "expire": ("expire", "--keep", "daily", "--before", "2020-08-28"),
}


@dataclass
class Case:
    """A command, the store that it finds, and what that holds before and after."""

    stage: Stage
    words: tuple[str, ...]
    base: Path
    before: check.Dump
    after: check.Dump
    n_calls: int = 0
    n_growths: int = 0

    @property
    def files(self) -> set[str]:
        """The files that stay for a day, for readers that have begun with them."""
        return set(check.look(self.stage.store(self.base)).files)

    def arguments(self, below: Path) -> list[object]:
        return ["store", *self.words, "--store", self.stage.store(below)]


@pytest.fixture(scope="module", params=COMMANDS)
def case(
    request: pytest.FixtureRequest,
    servers: Servers,
    stage: Callable[[str], Stage],
    tmp_path_factory: pytest.TempPathFactory,
) -> Case:
    """A store that two runs have written, and the command run without faults."""
    found = stage("more")
    directory = tmp_path_factory.mktemp("maintenance")

    def make(server: Server, words: tuple[str, ...]) -> Case:
        base, straight = directory / "base", directory / "straight"
        found.copy_to(base)
        ran = server.run([*found.arguments(base), "--no-compact"])
        assert ran.code == 0, ran.err
        before = check.canonical(check.look(found.store(base)))
        shutil.copytree(base, straight)
        made = Case(found, words, base, before, {})
        ran = server.run(made.arguments(straight), Plan(), straight)
        assert ran.code == 0, ran.err
        made.after = check.canonical(check.look(found.store(straight)))
        made.n_calls = len(counted(ran.calls))
        made.n_growths = len(counted(ran.calls, GROWTH))
        return made

    return servers.map(make, [COMMANDS[request.param]])[0]


def problems(server: Server, case: Case, plan: Plan) -> list[str]:
    """Run the command under a plan, look, run it again, look, reduce, look."""
    found: list[str] = []

    def look(expected: list[check.Dump]) -> check.View:
        view = check.look(case.stage.store(below))
        found.extend(view.problems())
        if check.canonical(view) not in expected:
            found.append("neither as before nor as after")
        return view

    with sandbox() as below:
        shutil.copytree(case.base, below)
        ran = server.run(case.arguments(below), plan, below)
        if plan.mode is Mode.FAIL_ONCE and "Traceback" in ran.err:
            found.append(ran.err)
        look([case.before, case.after])
        ran = server.run(case.arguments(below))
        found.extend([ran.err] if ran.code else [])
        look([case.after])
        assert server.run(case.stage.arguments(below)).code == 0
        left = check.leftovers(look([case.after]))
        found.extend(path for path in left if path not in case.files)
    return [f"{plan}: {text}" for text in found]


def test_kill_at_every_call(servers: Servers, case: Case) -> None:
    plans = [Plan(Mode.KILL_BEFORE, n) for n in range(1, case.n_calls + 1)]
    assert len(plans) > 20
    told = servers.map(lambda server, plan: problems(server, case, plan), plans)
    assert [text for texts in told for text in texts] == []


def test_a_full_disk_at_every_call(servers: Servers, case: Case) -> None:
    plans = [
        Plan(Mode.FAIL_ONCE, n, GROWTH, errno.ENOSPC)
        for n in range(1, case.n_growths + 1)
    ]
    told = servers.map(lambda server, plan: problems(server, case, plan), plans)
    assert [text for texts in told for text in texts] == []


def test_hours_were_added_up(case: Case) -> None:
    n_before, n_after = (len(dump["counts"]) for dump in (case.before, case.after))
    assert n_after <= n_before
    assert (case.before == case.after) == (case.words == COMMANDS["compact"])
