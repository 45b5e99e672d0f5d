"""Words of a report: numbers, dates, lists and names of each language, and a third."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastflow
from fastflow.errors import ConfigError
from fastflow.knowledge import known
from fastflow.report.words import Words, languages
from report_texts import WORDS

EN, JA = Words.load("en"), Words.load("ja")
DAYS = ["2020-08-27", "2020-08-30", "2020-08-31"]

#: The countries of domain reports, in their own words.
COUNTRIES = {
    "US": "米国",
    "RU": "ロシア",
    "CN": "中国",
    "NL": "オランダ",
    "DE": "ドイツ",
    "JP": "日本",
    "NZ": "ニュージーランド",
    "TW": "台湾",
    "KR": "韓国",
    "GB": "英国",
    "UA": "ウクライナ",
}


def texts(lang: str) -> dict[str, Any]:
    return tomllib.loads((WORDS / f"{lang}.toml").read_text("utf-8"))


def flat(table: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(table, dict):
        return {path: table}
    return {
        key: value
        for name, inner in table.items()
        for key, value in flat(inner, f"{path}.{name}").items()
    }


def test_languages_have_the_same_keys_and_name_the_same_values() -> None:
    assert languages() == ["en", "ja"]
    own = ("countries.own", "countries.within", "knowledge")
    one, other = (
        {
            key: text
            for key, text in flat(texts(lang)).items()
            if not key.startswith(tuple(f".{name}" for name in own))
        }
        for lang in languages()
    )
    assert one.keys() == other.keys()
    for key, text in one.items():
        if key.startswith(".dates"):
            continue  # a language may name the month or give its number
        for mine, theirs in zip(listed(text), listed(other[key]), strict=False):
            names = [set(re.findall(r"\{(\w+)", said)) for said in (mine, theirs)]
            assert names[0] == names[1], key


def listed(text: Any) -> list[str]:
    return text if isinstance(text, list) else [str(text)]


def test_all_that_is_known_is_said_in_japanese() -> None:
    assert [reading.id for reading in known()] == list(texts("ja")["knowledge"])
    for reading in known():
        assert EN.reading(reading) == reading.text
        # The same numbers, names of CVEs among them.
        for number in re.findall(r"CVE-[\d-]+|MS\d\d-\d+", reading.text):
            assert number in JA.reading(reading)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (8192, "8,192"), (1234567, "1,234,567"), (0.04, "0.0"), (12.34, "12.3"),
     (99.96, "100.0"), (100.4, "100"), (1234.5, "1,234"), (-3.25, "-3.2")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert EN.number(value) == JA.number(value) == text


def test_percent() -> None:
    assert EN.percent(0.14679) == "14.7%"
    assert EN.percent(0.1098, "+") == "+11.0%"
    assert JA.percent(-0.053, "+") == "-5.3%"
    assert EN.whole_percent(0.95) == "95%"
    assert [EN.points(one) for one in (0.147, -0.02, -0.0004)] == [
        "+14.7",
        "-2.0",
        "+0.0",
    ]
    assert EN.whole_points(0.05) == "5"


def test_plurals() -> None:
    assert [EN.unit("packets", n) for n in (0, 1, 2, 1000)] == [
        "0 packets", "1 packet", "2 packets", "1,000 packets",
    ]  # fmt: skip
    assert [JA.unit("packets", n) for n in (1, 1000)] == ["1件", "1,000件"]


def test_days_of_one_month_share_its_name() -> None:
    assert EN.days(DAYS) == "27, 30 and 31 August 2020"
    assert JA.days(DAYS) == "2020年8月27日、30日、31日"
    both = [*DAYS[1:], "2020-09-01"]
    assert EN.days(both) == "30 and 31 August 2020 and 1 September 2020"
    assert JA.days(both) == "2020年8月30日、31日、2020年9月1日"
    assert EN.day("2020-08-27T09:00:00+09:00") == "27 August 2020"
    assert JA.moment("2020-07-13T09:00:00+09:00") == "2020年7月13日9時"


@pytest.mark.parametrize(
    ("first", "last", "english", "japanese"),
    [
        ("2020-07-01", "2020-09-30", "1 July to 30 September 2020",
         "2020年7月1日から9月30日"),
        ("2020-08-26", "2020-08-31", "26 to 31 August 2020",
         "2020年8月26日から31日"),
        ("2019-12-30", "2020-01-05", "30 December 2019 to 5 January 2020",
         "2019年12月30日から2020年1月5日"),
        ("2020-08-27", "2020-08-27", "27 August 2020", "2020年8月27日"),
        ("2019-08-01", "2020-08-02", "1 August 2019 to 2 August 2020",
         "2019年8月1日から2020年8月2日"),
    ],
)  # fmt: skip
def test_spans(first: str, last: str, english: str, japanese: str) -> None:
    assert (EN.span(first, last), JA.span(first, last)) == (english, japanese)


def test_periods_of_titles() -> None:
    assert EN.period("quarter", "2020-07-01", "2020-09-30") == "July to September 2020"
    assert JA.period("quarter", "2020-07-01", "2020-09-30") == "2020年7月～9月"
    assert JA.period("month", "2020-08-01", "2020-08-31") == "2020年8月"
    assert JA.period("year", "2020-01-01", "2020-12-31") == "2020年"
    assert JA.period("week", "2020-08-24", "2020-08-30") == "2020年8月24日から30日"
    for kind in ("quarter", "month", "week", "day", "year", "range"):
        for words in (EN, JA):
            assert words.text(f"previous.{kind}.rank")


def test_lists() -> None:
    assert EN.listed(["a", "b", "c"]) == "a, b and c"
    assert JA.listed(["a", "b", "c"]) == "a、b、c"
    assert EN.listed([]) == ""
    assert EN.listed(["a"]) == "a"


def test_countries_in_the_words_of_the_report() -> None:
    assert {code: JA.country(code) for code in COUNTRIES} == COUNTRIES
    assert EN.country("US") == "United States"
    assert EN.region("US") == "the United States"
    assert EN.region("JP") == "Japan"


@pytest.mark.parametrize("words", [EN, JA])
@pytest.mark.parametrize(
    "code", [None, "ZZ", "EU", "AP", "T1", "A1", "A2", "O1", "XX", "QM", "AN", "??", ""]
)
def test_unknown_and_reserved_codes_have_words(words: Words, code: str | None) -> None:
    name = words.country(code)
    # A code stands, if at all, beside the word that it is unknown.
    known = name.replace(code or "None", "").strip(" ()")
    assert known
    assert words.region(code) == name


def test_time_zones() -> None:
    assert (EN.zone("Asia/Tokyo"), JA.zone("Asia/Tokyo")) == (
        "Japan Standard Time",
        "日本時間",
    )
    assert EN.zone("Europe/Berlin") == "Europe/Berlin"


def test_services() -> None:
    assert EN.port("1433/tcp") == "1433/TCP (ms-sql-s)"
    assert JA.port("445/tcp") == "445/TCP（microsoft-ds）"
    assert EN.port("49151/dccp") == "49151/DCCP"
    assert EN.port("5555/tcp") == "5555/TCP (personal-agent; Android Debug Bridge)"
    assert EN.port("37215/tcp") == "37215/TCP (unregistered; Huawei HG532)"
    assert JA.port("37215/tcp") == "37215/TCP（IANA未登録、Huawei HG532）"
    assert EN.port("37215/udp") == "37215/UDP"
    assert EN.service({"proto": 1, "icmp_type": 8}) == "ICMP type 8"


TOY = {
    "lang": "de",
    "percent": "{number} %",
    "thousands": ".",
    "decimal": ",",
    "title": "Lagebericht {period}",
}


def test_a_third_language_is_one_file(tmp_path: Path) -> None:
    """Here with a few words of its own; a real one has all of them."""
    path = tmp_path / "de.toml"
    text = (WORDS / "en.toml").read_text("utf-8")
    for key, value in TOY.items():
        text = re.sub(rf'(?m)^{key} = ".*"$', f'{key} = "{value}"', text, count=1)
    text = text.replace("own = {}", 'own = { NZ = "Neuseeland" }')
    knowledge = "".join(f'{one.id} = "Wissen"\n' for one in known())
    path.write_text(f"{text}\n[knowledge]\n{knowledge}", "utf-8")
    words = Words.load(str(path))
    assert words.lang == "de"
    assert words.number(1234567) == "1.234.567"
    assert words.percent(0.1234) == "12,3 %"
    assert words.country("NZ") == "Neuseeland"
    assert words.country("JP") == "Japan"
    assert words("title", period="2020") == "Lagebericht 2020"
    assert words.reading(known()[0]) == "Wissen"


def test_what_is_wrong_with_a_file_of_words_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="no report in language 'xx'; there are en, ja"
    ):
        Words.load("xx")
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        Words.load(str(tmp_path / "none.toml"))
    path = tmp_path / "toy.toml"
    path.write_text("title = ")
    with pytest.raises(ConfigError, match=r"toy\.toml: no TOML"):
        Words.load(str(path))
    path.write_text('title = "{nothing}"\n[units]\nlist = []\n')
    words = Words.load(str(path))
    with pytest.raises(ConfigError, match=r"toy\.toml: there is no subtitle; add it"):
        words("subtitle")
    with pytest.raises(ConfigError, match=r"toy\.toml: there is no units\.packets"):
        words.raw("units.packets")
    with pytest.raises(ConfigError, match=r"toy\.toml: title: .*nothing"):
        words("title")
    with pytest.raises(ConfigError, match=r"toy\.toml: units must be a text"):
        words.text("units")


@given(st.text(), st.text())
def test_values_are_no_messages(name: str, other: str) -> None:
    """Whatever a sensor is called: braces in it name nothing."""
    said = EN("overview.sensors_named", names=[name, other])
    assert said == f"the sensors {name} and {other}"


def test_words_are_in_the_package() -> None:
    assert (Path(fastflow.__file__).parent / "data" / "words").is_dir()
