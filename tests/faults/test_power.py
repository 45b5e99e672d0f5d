"""Power loss after each call of a reduce: what was not synced is gone, or torn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from faults.cases import Aspect, Verdict, after_power_loss, losses, report
from faults.runner import Servers
from faults.scenes import Stage
from faults.shim import NEEDS_SHIM

pytestmark = NEEDS_SHIM

Verdicts = Callable[[str], list[Verdict]]


@pytest.fixture(scope="module")
def lost(servers: Servers, stage: Callable[[str], Stage]) -> Verdicts:
    """Look at every disk that a power loss may leave, and reduce again."""

    @cache
    def made(scene: str) -> list[Verdict]:
        found = stage(scene)
        (states,) = servers.map(losses, [found])
        return servers.map(
            lambda server, loss: after_power_loss(server, found, loss), states
        )

    return made


ASPECTS = [Aspect.WHOLE, Aspect.CONVERGES, Aspect.DURABLE, Aspect.TIDY]


@pytest.mark.parametrize("aspect", ASPECTS, ids=lambda aspect: aspect.name.lower())
@pytest.mark.parametrize("scene", ["new", "more", "new, in a new directory"])
def test_power_loss_after_every_call(
    lost: Verdicts, scene: str, aspect: Aspect
) -> None:
    assert not (problems := report(lost(scene), aspect)), problems
