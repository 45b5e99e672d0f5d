"""Two guards: no stale binary is tested, and in the CI nothing is skipped silently."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from native_hash import what_is_stale

#: With FASTFLOW_REQUIRE_TOOLS=1 every other skip is a failure. The captures are no
#: part of the repository, an address sanitizer cannot be combined with everything, and
#: a container may be forbidden to mount or to make networks.
ALLOWED_SKIPS = (
    "no captures in",
    "shared corpus",
    "ASan has its own malloc",
    "no right to mount",
    "no right to make network namespaces",
)

REQUIRE_TOOLS = os.environ.get("FASTFLOW_REQUIRE_TOOLS", "").strip().lower() in {
    "1",
    "true",
    "yes",
    "on",
}


def pytest_configure(config: pytest.Config) -> None:
    problem = what_is_stale()
    if problem is not None:
        raise pytest.UsageError(problem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not REQUIRE_TOOLS or not report.skipped:
        return
    where, line, text = report.longrepr  # type: ignore[misc]
    reason = str(text).removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED_SKIPS):
        report.outcome = "failed"
        report.longrepr = (
            f"{where}:{line}: skipped ({reason}), "
            "but FASTFLOW_REQUIRE_TOOLS wants every test to run"
        )


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).parents[1]
