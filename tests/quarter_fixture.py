"""The scenario `tsubame-2020q3` at its smallest, made and reduced once a session."""

from __future__ import annotations

import pytest

from quarter import SCALE, Quarter, make_and_reduce


@pytest.fixture(scope="session")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Quarter:
    return make_and_reduce(tmp_path_factory.mktemp("quarter"), SCALE)
