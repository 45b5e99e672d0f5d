"""The real country table, built at most once a test session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastflow.stages.country import CountryTable, load_country_table, read_cache
from fastflow.stages.country_sources import open_source


@pytest.fixture(scope="session")
def country_cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A value for XDG_CACHE_HOME under which iptocc's table is cached.

    The user's own cache when it has the table; else a directory of this session.
    """
    if read_cache(open_source(None)) is not None:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        load_country_table()
    return home


@pytest.fixture(scope="session")
def country_table(country_cache_home: Path) -> CountryTable:
    """Return the table of the installed iptocc."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(country_cache_home))
        return load_country_table()
