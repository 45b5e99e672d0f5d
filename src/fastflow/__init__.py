"""Turn packet captures of unused addresses into exact hourly counts.

>>> import fastflow as ff
>>> for batch in ff.scan("a.pcap.gz", columns=["ts", "src", "dst_port"]): ...
>>> ff.reduce(["a.pcap"], store="counts/", sensor="tokyo-1")
>>> ff.Store("counts/").top("port", "2020-Q3")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastflow._version import __version__
from fastflow.errors import (
    CaptureError,
    ConfigError,
    CorruptCaptureError,
    DataFileError,
    FastflowError,
    InternalError,
    NotACaptureError,
    StoreError,
    TruncatedCaptureError,
    UnsupportedLinkTypeError,
)

if TYPE_CHECKING:
    from fastflow.packets import scan
    from fastflow.pipeline import reduce
    from fastflow.store import Store

__all__ = [
    "CaptureError",
    "ConfigError",
    "CorruptCaptureError",
    "DataFileError",
    "FastflowError",
    "InternalError",
    "NotACaptureError",
    "Store",
    "StoreError",
    "TruncatedCaptureError",
    "UnsupportedLinkTypeError",
    "__version__",
    "reduce",
    "scan",
]

# Arrow costs a tenth of a second to import: `fastflow --help` does without it.
_LAZY = {
    "scan": "fastflow.packets",
    "reduce": "fastflow.pipeline",
    "Store": "fastflow.store",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'fastflow' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
