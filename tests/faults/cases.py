"""One case: a fault strikes a reduce, the store is looked at, the reduce run again."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from faults import check, power
from faults.runner import Ran, Server
from faults.scenes import Stage
from faults.shim import Mode, Plan, counted

SANDBOX = "sandbox"


class Aspect(StrEnum):
    """What is asked of a store and of the command; each has tests of its own."""

    WHOLE = "what is visible is whole, known, and there once"
    CONVERGES = "the same reduce again gives what a run without faults gives"
    DURABLE = "what was acknowledged survives a power loss"
    MESSAGE = "the command says what is wrong, where, and what to do"
    TIDY = "nothing is left over after the next run"


@dataclass(frozen=True)
class Problem:
    aspect: Aspect
    text: str


@dataclass
class Verdict:
    """What was wrong in one case; nothing, if all is well."""

    case: str
    fired: bool = True
    code: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, aspect: Aspect, text: str | None) -> None:
        """Note a problem, in one line, unless it is none."""
        if text is not None:
            text = re.sub(rf"/[^ ]*/{SANDBOX}", "", " ".join(text.split()))
            self.problems.append(Problem(aspect, text))


def report(verdicts: Iterable[Verdict], aspect: Aspect) -> str:
    """Return a line for each case in which this aspect is not as it should be."""
    return "\n".join(
        f"{verdict.case}: {problem.text}"
        for verdict in verdicts
        for problem in verdict.problems
        if problem.aspect is aspect
    )


def have_struck(verdicts: Sequence[Verdict]) -> bool:
    """Return whether the plans did what they should, but for one in ten.

    Threads may need a call more or less than in the run that was counted.
    """
    return sum(verdict.fired for verdict in verdicts) >= 0.9 * len(verdicts)


@contextmanager
def sandbox() -> Iterator[Path]:
    """Yield the name of a new directory; in memory if possible, for speed."""
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name).resolve() / SANDBOX


def strike(
    server: Server, stage: Stage, plan: Plan, kill_after_s: Sequence[float] = ()
) -> Verdict:
    """Run the reduce of a scene under a plan; look; run it again; look.

    Parameters
    ----------
    kill_after_s : sequence of float
        Kill so many reduces, one after the other, each after these seconds.
    """
    with sandbox() as below:
        stage.copy_to(below)
        disk: power.Disk | None = power.Disk(below)
        moments = ", ".join(f"{1000 * s:.1f}" for s in kill_after_s)
        verdict = Verdict(f"killed after {moments} ms" if moments else str(plan))
        acknowledged = set(stage.known)
        limits: Sequence[float | None] = kill_after_s or (None,)
        for limit in limits:
            ran = server.run(stage.arguments(below), plan, below, limit)
            acknowledged |= set(ran.acknowledged)
            judge(ran, plan, stage, below, acknowledged, verdict)
            disk = _replayed(disk, ran, below)
            if ran.acknowledged and disk is not None:
                _lose_power(disk, stage, acknowledged, verdict)
        _run_again(server, stage, below, disk, verdict)
        return verdict


def _replayed(disk: power.Disk | None, ran: Ran, below: Path) -> power.Disk | None:
    """Take in what a process did; None: a kill from outside came before the log."""
    if disk is None:
        return None
    for call in ran.calls:
        disk.apply(call)
    if disk.kept() == power.tree_of(below):
        return disk
    assert ran.code == -9, "the shim has not seen everything"
    return None


def judge(
    ran: Ran,
    plan: Plan,
    stage: Stage,
    below: Path,
    acknowledged: set[str],
    verdict: Verdict,
) -> None:
    """Judge a reduce that was struck, and the store that it leaves."""
    struck = counted(ran.calls, plan.kinds)
    if plan.n and struck:
        # Before the call at which a process dies there is no entry of it.
        where = "after" if plan.mode is Mode.KILL_BEFORE else "at"
        verdict.case = f"{plan}, {where} {struck[min(plan.n, len(struck)) - 1]}"
    verdict.fired, verdict.code = ran.fired, ran.code
    if ran.hung:
        verdict.add(Aspect.MESSAGE, "it hung")
    elif ran.code > 0:
        verdict.add(Aspect.MESSAGE, check.message_problem(ran.err, below))
        if "Traceback" not in ran.err and ran.code != 1:
            verdict.add(Aspect.MESSAGE, f"exit code {ran.code}")
    elif ran.code == 0 and plan.mode in (Mode.FAIL_ONCE, Mode.FAIL_FROM) and ran.err:
        verdict.add(Aspect.MESSAGE, f"exit code 0, but: {ran.err}")
    look_at(stage, below, acknowledged, verdict)


def look_at(
    stage: Stage, below: Path, acknowledged: set[str], verdict: Verdict
) -> None:
    """Check what a store shows after a fault.

    Until its first commit was acknowledged, a store may be absent or refused, as long
    as the next reduce puts it right.
    """
    try:
        view = check.look(stage.store(below))
    except check.UnreadableError as error:
        if acknowledged:
            verdict.add(Aspect.WHOLE, str(error))
        return
    for problem in view.problems():
        verdict.add(Aspect.WHOLE, problem)
    if strange := view.ids - stage.all_ids:
        verdict.add(Aspect.WHOLE, f"never reduced, but there: {sorted(strange)}")
    if lost := acknowledged - view.ids:
        verdict.add(Aspect.WHOLE, f"acknowledged, but not there: {sorted(lost)}")


def _run_again(
    server: Server, stage: Stage, below: Path, disk: power.Disk | None, verdict: Verdict
) -> None:
    ran = server.run(stage.arguments(below), Plan(), below)
    if ran.code != 0:
        verdict.add(Aspect.CONVERGES, f"exit code {ran.code}: {ran.err.strip()}")
        return
    try:
        view = check.look(stage.store(below))
    except check.UnreadableError as error:
        verdict.add(Aspect.CONVERGES, str(error))
        return
    for problem in view.problems():
        verdict.add(Aspect.CONVERGES, problem)
    found = check.canonical(view)
    verdict.add(Aspect.CONVERGES, check.difference(found, stage.expected))
    if left := check.leftovers(view):
        verdict.add(Aspect.TIDY, ", ".join(left))
    if disk is not None and (disk := _replayed(disk, ran, below)) is not None:
        _lose_power(disk, stage, set(stage.known) | set(ran.acknowledged), verdict)


def _lose_power(
    disk: power.Disk, stage: Stage, acknowledged: set[str], verdict: Verdict
) -> None:
    """Check that what was acknowledged is there on the worst of disks."""
    with sandbox() as below:
        power.write_tree(disk.synced(), below)
        lost = Verdict("")
        look_at(stage, below, acknowledged, lost)
        for problem in lost.problems:
            verdict.add(Aspect.DURABLE, problem.text)


@dataclass(frozen=True)
class Loss:
    """A disk after a power loss, and what had been acknowledged before."""

    case: str
    tree: power.Tree
    is_acknowledged: bool


def losses(server: Server, stage: Stage) -> list[Loss]:
    """Record a reduce; return every disk that a power loss may leave on the way."""
    with sandbox() as below:
        stage.copy_to(below)
        disk = power.Disk(below)
        ran = server.run(stage.arguments(below), Plan(), below)
        assert ran.code == 0, ran.err
        seen: set[tuple[bytes, bool]] = set()
        found = []
        calls = [None, *ran.calls]
        for number, call in enumerate(calls):
            is_last = number == len(calls) - 1
            if call is not None:
                disk.apply(call)
            for said, tree in disk.losses():
                key = power.fingerprint(tree), is_last
                if key not in seen:
                    seen.add(key)
                    case = f"after call {number} ({call}), {said}"
                    found.append(Loss(case, tree, is_last))
        return found


def after_power_loss(server: Server, stage: Stage, loss: Loss) -> Verdict:
    """Look at what a power loss left; run the reduce again; look."""
    verdict = Verdict(loss.case)
    acknowledged = set(stage.known)
    if loss.is_acknowledged:
        acknowledged |= stage.all_ids
    with sandbox() as below:
        power.write_tree(loss.tree, below)
        disk = power.Disk(below)
        look_at(stage, below, acknowledged, verdict)
        _run_again(server, stage, below, disk, verdict)
    return verdict
