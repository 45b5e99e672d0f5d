"""The text of a log entry: what a commit does, twice, and checksums over it.

Its first line says who wrote it. The last action is a mark that nothing is missing. In
the first line there is also a packed copy of all other lines, so that a flipped bit in
the one is put right from the other. See the Delta transaction protocol,
https://github.com/delta-io/delta.
"""

from __future__ import annotations

import binascii
import json
import re
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from fastflow._version import __version__

Action = Mapping[str, Any]

_APP = "fastflow"
#: The operation of an empty entry in place of one of which nothing is left, until the
#: store has been repaired.
LOST = "LOST"
REPAIR = "REPAIR"

_SUM = "blake3"
_LINES_SUM = "lines"
_COPY = "copy"
_FIRST_END = b'"}}\n'
_FIELDS = {
    _LINES_SUM: re.compile(rb'"lines": "([0-9a-f]+)"'),
    _COPY: re.compile(rb'"copy": "([^"]*)"'),
}
_FILE_ACTIONS = frozenset({"add", "remove", "metaData", "protocol"})


def encode(version: int, operation: str, actions: Iterable[Action]) -> bytes:
    """Return the entry of a commit."""
    mark = {"appId": _APP, "version": version, "lastUpdated": _now_ms()}
    lines = [json.dumps(action) for action in (*actions, {"txn": mark})]
    return _with_info(operation, "".join(f"{line}\n" for line in lines))


def _with_info(operation: str, rest: str) -> bytes:
    info = {
        "timestamp": _now_ms(),
        "operation": operation,
        "operationParameters": {},
        "engineInfo": f"{_APP}/{__version__}",
        _LINES_SUM: _digest(rest.encode()),
        _COPY: _packed(rest.encode()),
    }
    info[_SUM] = _checksum(json.dumps({"commitInfo": info}), rest)
    first = json.dumps({"commitInfo": info})
    return f"{first}\n{rest}".encode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _packed(lines: bytes) -> str:
    return b64encode(zlib.compress(lines)).decode()


def _unpacked(packed: bytes) -> bytes | None:
    try:
        return zlib.decompress(b64decode(packed, validate=True))
    except (binascii.Error, zlib.error):
        return None


def _digest(data: bytes) -> str:
    return blake3(data).hexdigest(length=16)


def _checksum(info: str, rest: str) -> str:
    """Return a hash of an entry, in whose first line it does not stand yet."""
    return _digest(f"{info}\n{rest}".encode())


def actions_in(data: bytes) -> list[dict[str, Any]]:
    """Return the actions of an entry that is whole."""
    return [json.loads(line) for line in data.splitlines()]


def operation_in(data: bytes) -> str | None:
    """Return what wrote an entry that is whole, if it says so."""
    first: dict[str, Any] = json.loads(data.partition(b"\n")[0])
    operation: str | None = first.get("commitInfo", {}).get("operation")
    return operation


def restored(data: bytes) -> bytes | None:
    """Return a damaged entry as it was; None: it is lost.

    The lines, their copy and their hash stand in it. Two that agree are as they were.
    """
    # A flipped bit of the copy may look like the end of the first line.
    first, end, lines = data.partition(_FIRST_END)
    found = {name: pattern.search(first) for name, pattern in _FIELDS.items()}
    expected = match[1].decode() if (match := found[_LINES_SUM]) else None
    copy = _unpacked(match[1]) if (match := found[_COPY]) else None
    if copy is not None and _digest(copy) in (expected, _digest(lines)):
        lines = copy
    elif _digest(lines) != expected:
        return None
    whole = first + end + lines
    if fault_in(whole) is None:
        return whole
    return _with_info(REPAIR, lines.decode())


@dataclass(frozen=True)
class Fault:
    """What is wrong with an entry.

    Attributes
    ----------
    is_torn : bool
        Its end is missing, as after a power loss: nobody was told of the commit. If
        not, something in it has changed since.
    """

    is_torn: bool
    text: str


def fault_in(data: bytes) -> Fault | None:
    """Return what is wrong with an entry, if anything is."""
    if not data.rstrip(b"\0\n"):
        return Fault(is_torn=True, text="it is empty")
    actions = [_parse(line) for line in data.splitlines()]
    if actions[-1] is None and not data.endswith(b"\n"):
        return Fault(is_torn=True, text="its end is missing")
    if None in actions:
        return Fault(is_torn=False, text=f"line {actions.index(None) + 1} is damaged")
    return _fault_of_ours([action or {} for action in actions], data)


def _fault_of_ours(actions: list[dict[str, Any]], data: bytes) -> Fault | None:
    """Compare an entry that fastflow wrote with its checksum, and look for its mark."""
    info = actions[0].pop("commitInfo", {})
    mark = actions[-1].get("txn", {})
    if mark.get("appId") != _APP and not _is_ours(info.get("engineInfo")):
        return None
    if _FILE_ACTIONS.issuperset(actions[-1]):
        return Fault(is_torn=True, text="its last lines are missing")
    expected = info.pop(_SUM, None)
    rest = data.decode().partition("\n")[2]
    if expected == _checksum(json.dumps({"commitInfo": info}), rest):
        return None
    return Fault(is_torn=False, text="its checksum is wrong")


def _is_ours(engine: object) -> bool:
    return isinstance(engine, str) and engine.startswith(f"{_APP}/")


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        action = json.loads(line)
    except ValueError:
        return None
    return action if isinstance(action, dict) else None
