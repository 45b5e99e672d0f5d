"""What is said of events of every kind, in both languages, beside their fields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastflow.analysis.events.event import Event
from fastflow.analysis.selection import Selection
from fastflow.errors import ConfigError
from fastflow.report import phenomena as module
from fastflow.report.compose import compose
from fastflow.report.document import Section
from fastflow.report.findings import FrequentDay, Holder, Phenomena
from fastflow.report.model import Report, build
from fastflow.report.words import Words
from fastflow.store import Store
from fastflow.zones import hour_number
from reduced import at, reduced

DAY_ONE = hour_number(at(0))
TELNET = {"service": (6, 23, None)}


def event(kind: str, start: int, hours: int, **named: Any) -> Event:
    """Return an event that begins so many hours after `EPOCH`."""
    details = {"hours": hours, **named.pop("details", {})}
    values = {
        "slice": TELNET,
        "fixed": {},
        "score": 100.0 - start / 1000,
        "packets": 1200,
        "sources": 12,
        "baseline": 60.0,
        **named,
    }
    first = DAY_ONE + start
    return Event(kind, [(first, first + hours)], details=details, **values)


def trend(low: float, high: float, **named: Any) -> Event:
    """Return a trend of 30 days; its ramp says whether it rises."""

    class Ramp:
        pass

    ramp = Ramp()
    ramp.low, ramp.high = low, high  # type: ignore[attr-defined]
    details = {
        "ramp": ramp,
        "first_packets": low,
        "last_packets": high,
        "first_sources": low / 2,
        "last_sources": high / 2,
        "slope": 0.5,
        **named.pop("details", {}),
    }
    return event("trend", 0, 24 * 30, details=details, **named)


class Told:
    """A report of events that were found."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = Store(root / "counts", create=True)
        rows = [
            {"hour": at(24 * n), "dst_port": 23, "packets": 30, "src": f"192.0.2.{n}",
             "signature": "1024:::"}
            for n in range(40)
        ]  # fmt: skip
        self.store.publish([reduced("one", rows)])
        self._patch = monkeypatch

    def report(self, *events: Event) -> Report:
        self._patch.setattr(module, "find_events", lambda *_: list(events))
        return build(Selection(self.store, "2020-08-26..2020-10-04"))

    def section(self, lang: str, *events: Event) -> Section:
        """Return the first section of a phenomenon."""
        document = compose(self.report(*events), Words.load(lang))
        (found,) = (one for one in document.sections if one.id == "phenomena")
        return found.sections[0]

    def said(self, lang: str, *events: Event) -> list[str]:
        """Return its title and its paragraphs."""
        section = self.section(lang, *events)
        texts = [block.text for block in section.blocks if hasattr(block, "text")]
        return [section.title, *texts]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(tmp_path, monkeypatch)


def test_a_short_surge(told: Told) -> None:
    one = event("surge", 24, 30, details={"others": "country"})
    title, text, *_ = told.said("en", one)
    assert title == "Packets to 23/TCP (telnet): a surge"
    assert text == (
        "Packets to 23/TCP (telnet) rose for a short time (27 to 28 August 2020). In "
        "that time there were 1,200 packets from 12 source hosts, 40.0 packets an hour "
        "where 2.0 were to be expected. All other regions stayed within their range."
    )
    title, text, *_ = told.said("ja", one)
    assert title == "23/TCP（telnet）宛のパケットの一時的な増加"
    assert text == (
        "23/TCP（telnet）宛のパケットは、2020年8月27日から28日に一時的に増加しました。"
        "この間のパケット観測数は1,200件、送信元ホスト数は12で、パケット観測数は"
        "1時間あたり40.0件（通常の見込みは2.0件）でした。"
        "そのほかの送信元地域からのパケットは、通常の範囲内でした。"
    )


def test_a_level_that_stays(told: Told) -> None:
    us = {**TELNET, "country": ("US",)}
    one = event("surge", 24, 24 * 39, slice=us, packets=2340)
    assert told.said("en", one)[:2] == [
        "Packets to 23/TCP (telnet) from the United States: a higher level",
        "Packets to 23/TCP (telnet) from the United States have been at a higher level "
        "since 27 August 2020. In that time there were 2,340 packets from 12 source "
        "hosts, 2.5 packets an hour where 0.1 were to be expected.",
    ]
    assert "米国からの23/TCP（telnet）宛のパケットは、2020年8月27日ごろから" in "".join(
        told.said("ja", one)
    )


def test_a_level_that_came_to_an_end_is_not_said_to_stay(told: Told) -> None:
    one = event("surge", 24, 24 * 20)
    assert told.said("en", one)[:2] == [
        "Packets to 23/TCP (telnet): a higher level for some time",
        "Packets to 23/TCP (telnet) were at a higher level for some time (27 August to "
        "15 September 2020). In that time there were 1,200 packets from 12 source "
        "hosts, 2.5 packets an hour where 0.1 were to be expected.",
    ]
    assert "は、2020年8月27日から9月15日まで多い状態が続きました。" in "".join(
        told.said("ja", one)
    )
    assert told.report(one).remarks["port"].levels == []
    going_on = event("surge", 24, 24 * 39)
    (level,) = told.report(going_on).remarks["port"].levels
    assert (level.key, level.since[:10]) == ("23/tcp", "2020-08-27")


def test_trends_rise_and_fall(told: Told) -> None:
    rising = trend(10.0, 250.0, details={"peaks": [(DAY_ONE + 48, DAY_ONE + 50)]})
    title, text, *_ = told.said("en", rising)
    assert title == "Packets to 23/TCP (telnet): a slow rise"
    assert text == (
        "Packets to 23/TCP (telnet) rose slowly (26 August to 24 September 2020). They "
        "went from 10.0 to 250 packets a day, and from 5.0 to 125 source hosts a day. "
        "Short surges came on top on 28 August 2020."
    )
    falling = trend(250.0, 10.0)
    assert told.said("en", falling)[0] == "Packets to 23/TCP (telnet): a slow decline"
    title, text, *_ = told.said("ja", falling)
    assert title == "23/TCP（telnet）宛のパケットの緩やかな減少"
    assert "250件から10.0件に、送信元ホスト数は125から5.0に推移しました。" in text


def test_a_newcomer(told: Told) -> None:
    one = event("newcomer", 24, 24 * 20, slice={"tool": ("zmap",)}, baseline=0.0)
    title, text, *_ = told.said("en", one)
    assert title == "Packets (tool zmap): new"
    said = "were next to unseen before 27 August 2020, and have stayed."
    assert text.startswith(f"Packets (tool zmap) {said}")
    assert "where next to none were to be expected" in text
    assert "ほぼ0件" in told.said("ja", one)[1]


def test_one_source_is_said_and_not_named(told: Told) -> None:
    victim = {
        "traffic": ("backscatter",),
        "source": (bytes(10) + b"\xff\xff" + bytes((203, 0, 113, 7)), 4),
    }
    one = event("attack", 24, 2, slice=victim, fixed={"src_port": (80,)},
                details={"attacks": 1, "peak": 900})  # fmt: skip
    title, text, *_ = told.said("en", one)
    assert title == "Backscatter (of one source address): short bursts of answers"
    assert "Nearly all of these packets have in common: source port 80." in text
    assert "victims of 1 attack, with at most 900 packets in a minute." in text
    report = told.report(one)
    assert "203.0.113.7" not in str(report.to_json())
    assert report.phenomena.sections[0].events[0].slice == {
        "traffic": "backscatter",
        "one_source": True,
    }


@pytest.mark.parametrize(
    ("of", "english", "japanese"),
    [
        ({}, "Packets", "パケット"),
        ({"service": (1, None, 8)}, "ICMP type 8 packets", "ICMPタイプ8のパケット"),
        ({"traffic": ("scan",)}, "Scanning packets", "探索パケット"),
        ({"traffic": ("other",)}, "Packets that are neither", "探索でも跳ね返りでも"),
        ({"signature": (1024, "1024:2:::")}, "Packets (signature 1024:2:::)",
         "パケット（シグネチャー1024:2:::）"),
        ({**TELNET, "window": (8192,), "country": (None,)},
         "Packets to 23/TCP (telnet) (window size 8192)",
         "23/TCP（telnet）宛のパケット（ウインドウサイズ8192）"),
        ({"sensor": ("<b>x</b>",)}, "Packets (at sensor <b>x</b> alone)",
         "パケット（センサー<b>x</b>のみ）"),
    ],
)  # fmt: skip
def test_traffic_in_words(
    told: Told, of: dict[str, Any], english: str, japanese: str
) -> None:
    one = event("surge", 24, 30, slice=of)
    assert told.said("en", one)[0].startswith(english)
    assert told.said("ja", one)[0].startswith(japanese)


def test_a_window_is_no_verdict(told: Told) -> None:
    one = event("surge", 24, 30, slice={**TELNET, "window": (8192,)})
    assert "A window size alone does not tell" in "".join(told.said("en", one))
    assert "特定することはできません" in "".join(told.said("ja", one))
    plain = event("surge", 24, 30)
    assert "window" not in " ".join(told.said("en", plain)).lower()


def test_readings_are_possible_ones_with_their_source(told: Told) -> None:
    texts = told.said("en", event("surge", 24, 30))
    (reading,) = (text for text in texts if text.startswith("A possible reading"))
    assert "Telnet, by which Mirai and its kin" in reading
    assert "(source: Antonakakis et al.," in reading
    japanese = told.said("ja", event("surge", 24, 30))
    assert any("断定するものではありません" in text for text in japanese)


def test_stories_are_of_the_same_place_and_time(told: Told) -> None:
    bursts = [
        event("fixed", 24, 3, slice={"country": ("NZ",), **TELNET}),
        event("attack", 24, 3, slice={"country": ("NZ",)}),
        event("fixed", 24, 3, slice={"country": ("AU",), **TELNET}),
        event("fixed", 24 * 9, 3, slice={"country": ("NZ",), **TELNET}),
    ]
    found = told.report(*bursts).phenomena.sections
    assert [len(one.events) for one in found] == [2, 1, 1]
    levels = [
        event("surge", 24, 24 * 39, slice={**TELNET, "window": (1024,)}),
        event("surge", 40, 24 * 39, slice={**TELNET, "window": (5840,)}),
        event("surge", 24 * 9, 24 * 30, slice={**TELNET, "window": (64,)}),
    ]
    found = told.report(*levels).phenomena.sections
    assert [len(one.events) for one in found] == [2, 1]
    lines = [line.of for line in found[0].packets.lines]
    assert lines == [
        {"tcp_window": 1024},
        {"tcp_window": 5840},
        {"rest": ["tcp_window"]},
    ]
    section = told.section("en", *levels)
    assert section.title == "Packets to 23/TCP (telnet): a higher level"


def test_ids_are_told_apart(told: Told) -> None:
    both = [event("surge", 24, 30), event("surge", 24 * 15, 30)]
    ids = [one.id for one in told.report(*both).phenomena.sections]
    assert ids == ["23-tcp", "23-tcp-2"]


def test_more_events_than_sections_are_listed(told: Told) -> None:
    many = [
        event("surge", 24 * n, 5, slice={"service": (6, 1000 + n, None)})
        for n in range(13)
    ]
    report = told.report(*many)
    assert len(report.phenomena.sections) == 10
    assert len(report.phenomena.more) == 3
    for lang in ("en", "ja"):
        document = compose(report, Words.load(lang))
        (found,) = (one for one in document.walk() if one.id == "other-events")
        (listed,) = found.blocks
        assert len(listed.items) == 3  # type: ignore[union-attr]
        assert "1012/TCP" in listed.items[2]  # type: ignore[union-attr]


def test_holders_that_are_not_known(told: Told) -> None:
    class Nobody:
        sources = ("a table, 2020-10-01",)

        def names(self, addresses: Any) -> dict[str, str | None]:
            return dict.fromkeys(addresses)

    one = event("fixed", 24, 1, fixed={"window": (1024,)})
    told.report(one)
    selection = Selection(told.store, "2020-08-26..2020-10-04")
    report = build(selection, holders=Nobody())  # type: ignore[arg-type]
    (day,) = report.phenomena.sections[0].frequent or []
    assert (day.sources, day.holders[0].organisation) == (1, None)
    document = compose(report, Words.load("en"))
    (table,) = (one for one in document.tables if one.id.endswith("-often"))
    assert table.rows[0]["holders"] == "not known (1)"
    sources = next(one for one in document.walk() if one.id == "data-sources")
    assert "a table, 2020-10-01" in str(sources.blocks)


def test_many_holders_are_not_all_named(told: Told) -> None:
    holders = [Holder(f"Organisation {n}", 1) for n in range(7)]
    day = FrequentDay("2020-08-27", 7, 700, holders)
    report = told.report(event("fixed", 24, 1, fixed={"window": (1024,)}))
    (one,) = report.phenomena.sections
    found = Phenomena([replace(one, frequent=[day])], [])
    document = compose(replace(report, phenomena=found), Words.load("en"))
    (table,) = (one for one in document.tables if one.id.endswith("-often"))
    text = table.rows[0]["holders"]
    assert text.startswith("Organisation 0 (1), Organisation 1 (1)")
    assert text.endswith("Organisation 4 (1) and others")
    assert len(table.data[0]["holders"]) == 7


def test_bursts_of_days_that_were_added_up_are_told_by_day(told: Told) -> None:
    one = event("fixed", 24, 1, fixed={"window": (1024,)})
    assert told.report(one).phenomena.sections[0].packets.every == "hour"
    more = [{"hour": at(30 + n), "dst_port": 23} for n in range(5)]
    told.store.publish([reduced("more", more)])
    told.store.expire(at(24 * 30), daily=True)
    (found,) = told.report(one).phenomena.sections
    assert found.packets.every == "day"
    assert [time[:10] for time in found.packets.times] == [
        "2020-08-26",
        "2020-08-27",
        "2020-08-28",
        "2020-08-29",
    ]
    with pytest.raises(ConfigError, match="only days of UTC are left"):
        build(Selection(told.store, "2020-08", tz="Asia/Tokyo"))
