"""Is the compiled core that of the tree? `python tests/native_hash.py` says so.

The hash is the one that setup.py puts into the binary.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def tree_hash(root: Path = ROOT) -> str | None:
    """Return the hash of native/; None where there is no native/."""
    names = sorted(
        path.relative_to(root).as_posix()
        for path in (root / "native").rglob("*")
        if path.suffix in {".h", ".pyx", ".pxd"}
    )
    if not names:
        return None
    digest = hashlib.sha256()
    for name in names:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()[:16]


def what_is_stale(root: Path = ROOT) -> str | None:
    """Return what is wrong with the binary, in one sentence, or None."""
    expected = tree_hash(root)
    if expected is None:
        return None
    try:
        from fastflow import _core
    except ImportError as error:
        return f"fastflow is not built ({error}); run `make build`"
    if _core.source_hash() != expected:
        return f"{_core.__file__} is not built from this native/; run `make build`"
    return None


if __name__ == "__main__":
    sys.exit(what_is_stale())
