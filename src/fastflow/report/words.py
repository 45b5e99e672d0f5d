"""What a report says in one language: messages, numbers, dates, lists, names.

`fastflow/data/words/LANG.toml` holds all of it; another file of the same keys is
another language. A message is a text with named values: `{packets:packets}` is a number
with its unit, in the plural where that is due; `{start:day}` a date, `{days:days}`
several, `{share:percent}` a share. Whole numbers are grouped; others are rounded to one
decimal, or to none from 100 on.
"""

from __future__ import annotations

import gettext
import string
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from fastflow.errors import ConfigError
from fastflow.knowledge import Reading
from fastflow.names import country_name, known_as, proto_name, service_name

#: That of `data/knowledge.toml`.
KNOWLEDGE_LANGUAGE = "en"
#: From here on decimals say nothing.
_WHOLE = 100


def languages() -> list[str]:
    """Return the languages that there are words of."""
    folder = resources.files("fastflow.data").joinpath("words")
    names = [Path(one.name) for one in folder.iterdir()]
    return sorted(one.stem for one in names if one.suffix == ".toml")


class Words:
    """The words of one language.

    Parameters
    ----------
    texts : mapping
        What its file says.
    name : str
        The file, for messages.
    """

    def __init__(self, texts: Mapping[str, Any], name: str) -> None:
        self._texts = texts
        self._name = name
        self._formatter = _Formatter(self)

    @classmethod
    def load(cls, lang: str) -> Self:
        """Read a language that fastflow has words of, or a file, `LANG.toml`.

        Raises
        ------
        ConfigError
            There are none, or the file cannot be read.
        """
        if lang.endswith(".toml"):
            return cls._read(Path(lang))
        if lang not in languages():
            raise ConfigError(
                f"no report in language {lang!r}; there are {', '.join(languages())}"
            )
        file = resources.files("fastflow.data").joinpath("words", f"{lang}.toml")
        return cls(tomllib.loads(file.read_text("utf-8")), f"words/{lang}.toml")

    @classmethod
    def _read(cls, path: Path) -> Self:
        try:
            return cls(tomllib.loads(path.read_text("utf-8")), str(path))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except ValueError as error:  # of TOML, and of UTF-8
            raise ConfigError(f"{path}: no TOML: {error}") from error

    @property
    def lang(self) -> str:
        """The language, as HTML names it."""
        return self.text("lang")

    def raw(self, key: str) -> Any:
        """Return what the file has under a key, dots leading into its tables.

        Raises
        ------
        ConfigError
            There is no such key.
        """
        found: Any = self._texts
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise ConfigError(f"{self._name}: there is no {key}; add it")
            found = found[part]
        return found

    def text(self, key: str) -> str:
        """Return a message as it stands.

        Raises
        ------
        ConfigError
            There is none.
        """
        found = self.raw(key)
        if not isinstance(found, str):
            raise ConfigError(f"{self._name}: {key} must be a text")
        return found

    def __call__(self, key: str, **values: Any) -> str:
        """Return a message with its values.

        Raises
        ------
        ConfigError
            There is none, or it names a value that is not given.
        """
        return self._fill(key, self.text(key), values)

    def filled(self, key: str, **values: Any) -> list[str]:
        """Return several messages with their values.

        Raises
        ------
        ConfigError
            There are none, or one names a value that is not given.
        """
        return [self._fill(key, text, values) for text in self.raw(key)]

    def _fill(self, key: str, text: str, values: Mapping[str, Any]) -> str:
        try:
            return self._formatter.vformat(text, (), values)
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(f"{self._name}: {key}: {error}") from error

    @cached_property
    def _plural(self) -> Callable[[int], int]:
        """Which form of a unit goes with a number, by a rule as gettext has them."""
        found: Callable[[int], int] = gettext.c2py(self.text("plural"))
        return found

    def number(self, value: float) -> str:
        """Return a number as it is read: whole ones grouped, others rounded."""
        if isinstance(value, int) or abs(value) >= _WHOLE:
            text = f"{round(value):,}"
        else:
            text = f"{value:,.1f}"
        return self._punctuated(text)

    def percent(self, value: float, sign: str = "") -> str:
        """Return a share in per cent, with one decimal; `+` writes a plus as well."""
        number = self._punctuated(f"{100 * value:{sign},.1f}")
        return self._fill("percent", self.text("percent"), {"number": number})

    def points(self, value: float) -> str:
        """Return a difference of shares in percentage points, with its sign."""
        # Not minus nothing, where it is rounded to that.
        return self._punctuated(f"{round(100 * value, 1) + 0.0:+,.1f}")

    def whole_points(self, value: float) -> str:
        """Return a limit of differences in whole percentage points."""
        return f"{100 * value:.0f}"

    def whole_percent(self, value: float) -> str:
        """Return a share in whole per cent, for limits that are."""
        number = f"{100 * value:.0f}"
        return self._fill("percent", self.text("percent"), {"number": number})

    def _punctuated(self, text: str) -> str:
        marks = {",": self.text("thousands"), ".": self.text("decimal")}
        return "".join(marks.get(letter, letter) for letter in text)

    def unit(self, name: str, value: float) -> str:
        """Return a number with its unit, as `1 packet`, `2 packets`."""
        forms = self.raw(f"units.{name}")
        form = self._plural(value if isinstance(value, int) else 2)
        return self._fill(f"units.{name}", forms[form], {"n": value})

    def day(self, iso: str) -> str:
        """Return a date; the time behind it is left out."""
        return self._fill("dates.day", self.text("dates.day"), self._parts(iso))

    def moment(self, iso: str) -> str:
        """Return a date and the hour."""
        hour = datetime.fromisoformat(iso).hour
        values = {**self._parts(iso), "hour": hour}
        return self._fill("dates.moment", self.text("dates.moment"), values)

    def days(self, isos: Sequence[str]) -> str:
        """Return several dates; those of one month share its name."""
        months = [
            (key, [self._parts(iso) for iso in days])
            for key, days in groupby(sorted(isos), key=lambda iso: iso[:7])
        ]
        texts = [
            self("dates.days", **{**parts[0], "days": [
                self("dates.day_of_month", **one) for one in parts
            ]})
            for _, parts in months
        ]  # fmt: skip
        return self.listed(texts)

    def span(self, first: str, last: str) -> str:
        """Return a stretch of days, both inclusive, and nothing twice."""
        a, b = self._parts(first), self._parts(last)
        if first[:10] == last[:10]:
            return self.day(first)
        same = "month" if first[:7] == last[:7] else "year"
        key = f"dates.span_{same}" if a["year"] == b["year"] else "dates.span"
        ends = {f"{name}_2": value for name, value in b.items()}
        return self(key, **a, **ends)

    def period(self, kind: str, first: str, last: str) -> str:
        """Return a period's name, as a title has it."""
        if kind in ("quarter", "month", "year"):
            a, b = self._parts(first), self._parts(last)
            ends = {f"{name}_2": value for name, value in b.items()}
            return self(f"dates.{kind}", **a, **ends)
        return self.span(first, last)

    def _parts(self, iso: str) -> dict[str, str]:
        one = date.fromisoformat(iso[:10])
        return {
            "year": str(one.year),
            "month": str(one.month),
            "month_name": self.raw("dates.months")[one.month - 1],
            "day": str(one.day),
        }

    def listed(self, texts: Sequence[str]) -> str:
        """Return texts as a list within a sentence."""
        if len(texts) < 2:
            return "".join(texts)
        head = self.text("list.comma").join(texts[:-1])
        return f"{head}{self.text('list.last')}{texts[-1]}"

    def country(self, code: str | None) -> str:
        """Return a region's name; one without a country has a name as well."""
        if code is None:
            return self.text("countries.unknown")
        own: Mapping[str, str] = self.raw("countries.own")
        return own.get(code) or country_name(code, self.text("countries.names"))

    def zone(self, name: str) -> str:
        """Return what people call a time zone; else its IANA name."""
        own: Mapping[str, str] = self.raw("zones")
        return own.get(name, name)

    def region(self, code: str | None) -> str:
        """Return a region's name within a sentence, with its article if it has one."""
        within: Mapping[str, str] = self.raw("countries.within")
        return within.get(code or "") or self.country(code)

    def port(self, key: str) -> str:
        """Return a port as `445/TCP (microsoft-ds)`, the name by IANA.

        What else is known to be found there stands beside that.
        """
        number, _, proto = key.partition("/")
        name, known = service_name(int(number), proto), known_as(int(number), proto)
        text = f"{number}/{proto.upper()}"
        if known is not None:
            form = "ports.known" if name else "ports.unnamed"
            return self(form, port=text, name=name, known=known.name)
        return self("ports.named", port=text, name=name) if name else text

    def service(self, of: Mapping[str, Any]) -> str:
        """Return the destination of packets by their columns: port, or ICMP type."""
        proto = proto_name(of["proto"])
        if "dst_port" in of:
            return self.port(f"{of['dst_port']}/{proto}")
        return self("icmp", proto=proto.upper(), type=str(of.get("icmp_type", "")))

    def reading(self, reading: Reading) -> str:
        """Return what is publicly known, as a part of a sentence."""
        if self.lang == KNOWLEDGE_LANGUAGE:
            return reading.text
        return self.text(f"knowledge.{reading.id}")


class _Formatter(string.Formatter):
    """Fills messages; what stands behind a colon says how a value is written."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._styles: dict[str, Callable[[Any], str]] = {
            "": self._plain,
            "day": words.day,
            "days": words.days,
            "moment": words.moment,
            "percent": words.percent,
            "whole_percent": words.whole_percent,
            "points": words.points,
            "whole_points": words.whole_points,
            "change": lambda value: words.percent(value, "+"),
        }

    def format_field(self, value: Any, format_spec: str) -> str:
        style = self._styles.get(format_spec)
        if style is not None:
            return style(value)
        return self._words.unit(format_spec, value)

    def _plain(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return self._words.number(value)
        return self._words.listed(value)
