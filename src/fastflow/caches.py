"""Where caches lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """Return the directory of fastflow's caches, which may not exist yet."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "fastflow"
