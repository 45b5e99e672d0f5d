"""kill -9 at each call that changes the disk, within writes, and at any moment."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache

import pytest

from faults import check
from faults.cases import Aspect, Verdict, have_struck, report, sandbox, strike
from faults.runner import Server, Servers
from faults.scenes import Stage
from faults.shim import NEEDS_SHIM, Kind, Mode, Plan, counted

pytestmark = NEEDS_SHIM

N_KILLS = int(os.environ.get("FASTFLOW_KILLS", "100"))
#: Where to kill at random, and which share of the kills: two commits take long.
RANDOM_SCENES = {"new": 0.45, "more": 0.45, "two commits": 0.1}

Verdicts = Callable[[str], list[Verdict]]


@pytest.fixture(scope="module")
def killed(servers: Servers, stage: Callable[[str], Stage]) -> Verdicts:
    """Kill before each call of a scene, after the last one, and within each write."""

    @cache
    def made(scene: str) -> list[Verdict]:
        found = stage(scene)
        n_calls = len(counted(found.calls))
        writes = frozenset({Kind.WRITE})
        plans = [Plan(Mode.KILL_BEFORE, n) for n in range(1, n_calls + 1)]
        plans.append(Plan(Mode.KILL_AFTER, n_calls))
        plans += [
            Plan(Mode.KILL_WITHIN, n, writes)
            for n in range(1, len(counted(found.calls, writes)) + 1)
        ]
        return servers.map(lambda server, plan: strike(server, found, plan), plans)

    return made


@pytest.fixture(scope="module")
def killed_at_random(servers: Servers, stage: Callable[[str], Stage]) -> Verdicts:
    """Kill at moments that no call marks: up to three reduces, one after the other."""

    @cache
    def made(scene: str) -> list[Verdict]:
        found = stage(scene)
        cases: list[list[float]] = []
        n = 0
        while n < N_KILLS * RANDOM_SCENES[scene]:
            chance = random.Random(len(cases))
            moments = [
                chance.uniform(0, found.seconds) for _ in range(chance.randint(1, 3))
            ]
            cases.append(moments)
            n += len(moments)
        return servers.map(
            lambda server, moments: strike(server, found, Plan(), moments), cases
        )

    return made


ASPECTS = [Aspect.WHOLE, Aspect.CONVERGES, Aspect.DURABLE, Aspect.TIDY]


@pytest.mark.parametrize("aspect", ASPECTS, ids=lambda aspect: aspect.name.lower())
@pytest.mark.parametrize("scene", ["new", "more"])
def test_kill_at_every_call(killed: Verdicts, scene: str, aspect: Aspect) -> None:
    verdicts = killed(scene)
    assert have_struck(verdicts)
    assert not (problems := report(verdicts, aspect)), problems


def test_one_scene_commits_twice(stage: Callable[[str], Stage]) -> None:
    links = [call for call in stage("two commits").calls if call.kind is Kind.LINK]
    assert sum("_delta_log" in str(call.path) for call in links) == 2


@pytest.mark.parametrize("aspect", ASPECTS, ids=lambda aspect: aspect.name.lower())
@pytest.mark.parametrize("scene", RANDOM_SCENES)
def test_kill_at_any_moment(
    killed_at_random: Verdicts, scene: str, aspect: Aspect
) -> None:
    problems = report(killed_at_random(scene), aspect)
    assert not problems, problems


def test_files_of_a_commit_that_never_came_are_removed(
    servers: Servers, stage: Callable[[str], Stage]
) -> None:
    """Killed just before its commit; then the captures come one at a time."""
    found = stage("new")
    links = frozenset({Kind.LINK})
    plan = Plan(Mode.KILL_BEFORE, len(counted(found.calls, links)), links)

    def work(server: Server, _: None) -> list[str]:
        with sandbox() as below:
            found.copy_to(below)
            assert server.run(found.arguments(below), plan, below).code == -9
            for name in found.scene.reduced:
                ran = server.run(found.arguments_for([name], below))
                assert ran.code == 0, ran.err
            view = check.look(found.store(below))
            assert check.difference(check.canonical(view), found.expected) is None
            return check.leftovers(view)

    assert servers.map(work, [None]) == [[]]


@pytest.mark.parametrize("after_s", [0.2, 0.35, 0.5, 0.65])
def test_kill_of_a_process_that_nobody_forked(
    stage: Callable[[str], Stage], after_s: float
) -> None:
    """The command as it is installed: without the shim, the server, or their forks."""
    found = stage("more")
    with sandbox() as below:
        found.copy_to(below)
        arguments = [str(word) for word in found.arguments(below)]
        command = [sys.executable, "-m", "fastflow", *arguments]
        begun = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(after_s)
        begun.kill()
        begun.wait()
        view = check.look(found.store(below))
        assert view.problems() == []
        assert found.known <= view.ids <= found.all_ids
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        view = check.look(found.store(below))
        assert check.difference(check.canonical(view), found.expected) is None
