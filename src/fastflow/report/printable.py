"""Letters that no page and no picture can have, taken out of what a report says.

Names of holders and tools come from elsewhere, and may hold anything.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

#: All but what XML 1.0 (production 2, Char) allows.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INSTEAD = "\N{REPLACEMENT CHARACTER}"

T = TypeVar("T")


def printable(value: T) -> T:
    """Return a document, or a part of one, whose texts XML and HTML can hold."""
    cleaned: Any = _cleaned(value)
    return cleaned  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _FORBIDDEN.sub(_INSTEAD, value)
    if isinstance(value, tuple):
        return tuple(map(_cleaned, value))
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {one.name: _cleaned(getattr(value, one.name)) for one in fields(value)}
        return replace(value, **inner)
    return value
