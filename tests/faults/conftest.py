"""Fixtures of the fault tests: two servers, and each scene made ready once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from faults.runner import Servers
from faults.scenes import SCENES, Stage, make_stage
from faults.shim import compile_shim
from mmdb import make_mmdb


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Processes that fork cases, with a country table of their own."""
    directory = tmp_path_factory.mktemp("faults")
    cache = {"XDG_CACHE_HOME": str(directory / "cache")}
    with Servers(compile_shim(directory), cache) as found:
        yield found


@pytest.fixture(scope="session")
def stage(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Stage]:
    """Make a scene ready, once a session."""
    geo = tmp_path_factory.mktemp("geo") / "geo.mmdb"
    geo.write_bytes(make_mmdb({"203.0.113.0/24": {"country": {"iso_code": "JP"}}}))

    @cache
    def made(name: str) -> Stage:
        directory: Path = tmp_path_factory.mktemp("stage")
        (found,) = servers.map(
            lambda server, scene: make_stage(scene, server, directory, geo),
            [SCENES[name]],
        )
        return found

    return made
