"""Rules that tell scanning tools by the headers of their packets.

Those of fastflow stand in `data/tools.toml`; a file of the same form adds others.
"""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property, reduce
from importlib import resources
from operator import or_
from pathlib import Path
from typing import Any, Self

from blake3 import blake3

from fastflow import _tool
from fastflow.errors import ConfigError

_FIELDS = {name: (n, bits) for n, (name, bits) in enumerate(_tool.FIELDS)}
#: What a formula may name; the other fields are written in another way.
FORMULA_FIELDS = tuple(name for name in _FIELDS if name not in ("zero", "swapped_dst"))
_ALL_ONES = 0xFFFFFFFF
_NAME = re.compile("[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_ALWAYS = (-(1 << 63), (1 << 63) - 1)


class _WrongError(ValueError):
    """What is wrong with a rule, to be told with its place."""


@dataclass(frozen=True)
class Rule:
    """How one tool is told.

    Attributes
    ----------
    tool, title : str
        Its name in the column `tool`, and for people.
    formula : str
        What of the header fields must hold.
    since, until : date or None
        The first and the last day that it holds for; None: without limit.
    packets : int
        How many packets of a source must match before it is believed.
    signature : str or None
        Of a pair: the only signature that its packets have; None: any.
    is_pair : bool
        It compares packets of a source; `formula` is a description.
    note, source : str
        What to mind; where it is from.
    """

    tool: str
    title: str
    formula: str
    since: date | None
    until: date | None
    packets: int
    signature: str | None
    is_pair: bool
    note: str
    source: str

    @property
    def times_ns(self) -> tuple[int, int]:
        """The times that it holds for, nanoseconds since 1970, the second exclusive."""
        begin, end = _ALWAYS
        if self.since is not None:
            begin = _midnight_ns(self.since)
        if self.until is not None:
            end = _midnight_ns(self.until + timedelta(days=1))
        return begin, end


@dataclass(frozen=True)
class Tools:
    """All rules that are in use.

    Attributes
    ----------
    version : str
        Changes whenever a rule does; recorded with each input.
    rules : tuple of Rule
        In the order in which they are asked.
    """

    version: str
    rules: tuple[Rule, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tools that a packet can have; the n-th has code n + 1."""
        return tuple(sorted({rule.tool for rule in self.rules if not rule.is_pair}))

    @cached_property
    def compiled(self) -> _tool.Rules:
        """The rules as the core takes them."""
        codes = {name: code for code, name in enumerate(self.names, start=1)}
        return _tool.Rules(
            [
                (codes[rule.tool], *rule.times_ns, compile_formula(rule.formula))
                for rule in self.rules
                if not rule.is_pair
            ]
        )

    @property
    def pairs(self) -> tuple[Rule, ...]:
        """The rules that compare packets of a source."""
        return tuple(rule for rule in self.rules if rule.is_pair)

    def with_file(self, path: str | os.PathLike[str]) -> Self:
        """Return these rules and those of a file, which are asked first.

        A tool that the file names is told by the file's rules alone.

        Raises
        ------
        ConfigError
            The file cannot be read, or has a rule that cannot be understood.
        """
        document, digest = _load(Path(path))
        if document.keys() - {"version", "rule"}:
            unknown = ", ".join(sorted(document.keys() - {"version", "rule"}))
            raise ConfigError(f"{path}: {unknown}: a file of rules has [[rule]] only")
        own = _rules(Path(path), "rule", document)
        if not own:
            raise ConfigError(f"{path}: there is no [[rule]] in it")
        named = {rule.tool for rule in own}
        rest = tuple(rule for rule in self.rules if rule.tool not in named)
        tools = type(self)(f"{self.version}+{digest}", (*own, *rest))
        n_packet_rules = len(tools.rules) - len(tools.pairs)
        for n, most, what in (
            (n_packet_rules, _tool.MAX_RULES, "rules"),
            (len(tools.names), _tool.MAX_TOOLS, "tools"),
        ):
            if n > most:
                raise ConfigError(
                    f"{path}: {n} {what} with those of fastflow; "
                    f"there is room for {most}"
                )
        return tools


@cache
def known_tools() -> Tools:
    """Return the rules of fastflow itself."""
    with resources.as_file(resources.files("fastflow.data") / "tools.toml") as path:
        document, _ = _load(path)
        rules = (*_rules(path, "rule", document), *_rules(path, "pair", document))
    return Tools(document["version"], rules)


def load_tools(tools: str | os.PathLike[str] | Tools | None) -> Tools:
    """Return the rules of fastflow, with those of a file if one is named; or as given.

    Raises
    ------
    ConfigError
        The file cannot be read, or has a rule that cannot be understood.
    """
    if isinstance(tools, Tools):
        return tools
    return known_tools() if tools is None else known_tools().with_file(tools)


def _load(path: Path) -> tuple[dict[str, Any], str]:
    """Return what a file says, and a short hash of it."""
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode()), blake3(data).hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # of TOML, and of UTF-8
        raise ConfigError(f"{path}: no TOML: {error}") from error


def _rules(path: Path, kind: str, document: Mapping[str, Any]) -> tuple[Rule, ...]:
    tables = document.get(kind, [])
    if not isinstance(tables, list):
        raise ConfigError(f"{path}: write [[{kind}]], in two brackets")
    rules = []
    for number, table in enumerate(tables, start=1):
        try:
            rules.append(_rule(table, is_pair=kind == "pair"))
        except _WrongError as error:
            raise ConfigError(f"{path}: {kind} {number}: {error}") from error
    return tuple(rules)


#: What a rule says: its type, and what stands for it where it is left out.
_KEYS: dict[str, tuple[type, Any]] = {
    "tool": (str, ...),
    "title": (str, None),
    "formula": (str, ...),
    "since": (date, None),
    "until": (date, None),
    "packets": (int, 1),
    "note": (str, ""),
    "source": (str, ""),
}


def _rule(table: Any, is_pair: bool) -> Rule:
    if not isinstance(table, dict):
        raise _WrongError("is no table")
    keys = _KEYS | ({"signature": (str, None)} if is_pair else {})
    for name in table.keys() - keys.keys():
        raise _WrongError(f"{name}: no such key; there are {', '.join(keys)}")
    values = {name: _value(table, name, *known) for name, known in keys.items()}
    tool = values["tool"]
    if not _NAME.fullmatch(tool):
        raise _WrongError(
            f"tool: {tool!r} is no name: small letters, digits, . _ - and at most 32"
        )
    if values["packets"] < 1:
        raise _WrongError("packets: must be 1 or more")
    since, until = values["since"], values["until"]
    if since and until and until < since:
        raise _WrongError(f"until: {until} is before {since}")
    if not is_pair:
        compile_formula(values["formula"])
    values["title"] = values["title"] or tool
    values.setdefault("signature", None)
    return Rule(is_pair=is_pair, **values)


def _value(table: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = table.get(name, default)
    if value is ...:
        raise _WrongError(f"{name}: is missing")
    if value is default:
        return value
    # A truth value is a number, and a time a date, to Python.
    if type(value) is not kind:
        wanted = {str: "a text", int: "a whole number", date: "a date, as 2013-09-14"}
        raise _WrongError(f"{name}: must be {wanted[kind]}, not {value!r}")
    return value


def _midnight_ns(day: date) -> int:
    midnight = datetime.combine(day, time(), UTC)
    return int(midnight.timestamp()) * 10**9


# A side of a comparison is an exclusive or of fields, each under a mask, and a number.


@dataclass(frozen=True)
class _Side:
    masks: Mapping[str, int]
    number: int = 0

    def __xor__(self, other: _Side) -> _Side:
        names = {**self.masks, **other.masks}
        masks = {n: self.masks.get(n, 0) ^ other.masks.get(n, 0) for n in names}
        return _Side(masks, self.number ^ other.number)

    def __and__(self, other: _Side) -> _Side:
        side, mask = (other, self) if not any(self.masks.values()) else (self, other)
        if any(mask.masks.values()):
            raise _WrongError("formula: & takes a number, as in (…) & 0xffff")
        masks = {name: bits & mask.number for name, bits in side.masks.items()}
        return _Side(masks, side.number & mask.number)


def compile_formula(formula: str) -> list[tuple[list[int], int, int]]:
    """Return the tests that a formula is made of, as `_tool.Rules` takes them.

    Raises
    ------
    ValueError
        It cannot be understood; the message says what is wrong with it.
    """
    try:
        tree = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _WrongError(f"formula: {formula!r} cannot be read") from error
    is_and = isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)
    parts: Sequence[ast.expr] = tree.values if is_and else [tree]  # type: ignore[attr-defined]
    tests = [_test(part) for part in parts]
    if len(tests) > _tool.MAX_TESTS:
        raise _WrongError(f"formula: more than {_tool.MAX_TESTS} comparisons")
    return tests


def _test(node: ast.expr) -> tuple[list[int], int, int]:
    text = ast.unparse(node)
    if not (
        isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and isinstance(node.ops[0], ast.Eq)
    ):
        raise _WrongError(f"formula: {text}: write comparisons with ==, joined by and")
    side = _side(node.left) ^ _side(node.comparators[0])
    masks = {name: mask for name, mask in side.masks.items() if mask}
    if not masks:
        raise _WrongError(f"formula: {text}: compares no field")
    mask = reduce(or_, masks.values())
    if any(bits != mask & _ones(name) for name, bits in masks.items()):
        raise _WrongError(f"formula: {text}: & must leave the same bits of all fields")
    if side.number & ~mask:
        raise _WrongError(f"formula: {text}: can never hold")
    if len(masks) > _tool.MAX_TERMS:
        raise _WrongError(f"formula: {text}: more than {_tool.MAX_TERMS} fields")
    return [_FIELDS[name][0] for name in sorted(masks)], mask, side.number


def _ones(name: str) -> int:
    return (1 << _FIELDS[name][1]) - 1


def _side(node: ast.expr) -> _Side:
    match node:
        case ast.BinOp(left=left, op=ast.BitXor(), right=right):
            return _side(left) ^ _side(right)
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return _side(left) & _side(right)
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            if number > _ALL_ONES:
                raise _WrongError(f"formula: {number} has more than 32 bits")
            return _Side({}, number)
        case ast.Name(id=name) if name in FORMULA_FIELDS:
            return _Side({name: _ones(name)})
        case ast.Name(id=name):
            fields = ", ".join(FORMULA_FIELDS)
            raise _WrongError(f"formula: no field {name}; there are {fields}")
        case ast.Call(func=ast.Name(id="swap"), args=[ast.Name(id="dst")], keywords=[]):
            return _Side({"swapped_dst": _ALL_ONES})
    raise _WrongError(
        f"formula: {ast.unparse(node)}: there are fields, numbers, ^, &, swap(dst)"
    )


def describe(tools: Tools) -> Iterable[dict[str, Any]]:
    """Yield a dict for each rule, for people and scripts."""
    for rule in tools.rules:
        yield {
            "tool": rule.tool,
            "of": "pairs" if rule.is_pair else "packets",
            "formula": rule.formula,
            "signature": rule.signature,
            "since": rule.since and rule.since.isoformat(),
            "until": rule.until and rule.until.isoformat(),
            "packets": rule.packets,
            "note": rule.note,
            "source": rule.source,
        }
