"""Notable phenomena, each a section: what it was, how it went, whose it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastflow.report.document import (
    Block,
    Bullets,
    Paragraph,
    Section,
    Table,
)
from fastflow.report.findings import Found, FrequentDay, Holder, Phenomenon
from fastflow.report.layout import Layout

#: Fields that may be fixed, in the order of the table.
_FIELDS = ("src_port", "tcp_window", "tcp_seq", "ip_ttl")
#: Less than this is written as none.
_SOME = 0.05
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: Short rises that are told one by one.
_MOST_PEAKS = 10
#: Holders that are named for a day; the data have all.
_MOST_HOLDERS = 5


def phenomena_section(layout: Layout) -> Section:
    """Return the section with one for each phenomenon."""
    words, found = layout.words, layout.report.phenomena
    if not found.sections:
        text = words.text("phenomena.none")
        return Section(
            "phenomena", words.text("sections.phenomena"), (Paragraph(text),)
        )
    intro = words("phenomena.intro", phenomena=len(found.sections))
    more: tuple[Section, ...] = ()
    if found.more:
        more = (
            Section(
                "other-events",
                words.text("sections.other-events"),
                (Bullets(tuple(_sentence(layout, one) for one in found.more)),),
            ),
        )
    return Section(
        "phenomena",
        words.text("sections.phenomena"),
        (Paragraph(intro),),
        (*(_section(layout, one) for one in found.sections), *more),
    )


def _section(layout: Layout, one: Phenomenon) -> Section:
    words = layout.words
    blocks: list[Block] = []
    texts = [_sentence(layout, event) for event in one.events]
    if len(texts) > 1:
        blocks.append(Paragraph(words("phenomena.together", n=len(texts))))
        blocks.append(Bullets(tuple(_lettered(texts))))
    else:
        blocks.append(Paragraph(texts[0]))
    blocks += [Paragraph(text) for text in _besides(layout, one)]
    title = _title(layout, one)
    blocks.append(layout.figure(f"{one.id}-packets", "packets_of", one.packets,
                                what=title))  # fmt: skip
    if one.sources is not None:
        blocks.append(layout.figure(f"{one.id}-sources", "sources_of", one.sources,
                                    what=title))  # fmt: skip
    if any(event.fixed for event in one.events):
        blocks.append(_fixed_table(layout, one, title))
    if one.frequent is not None:
        blocks.append(_frequent(layout, one, one.frequent, title))
    return Section(one.id, title, tuple(blocks))


def _lettered(texts: list[str]) -> list[str]:
    return [f"({letter}) {text}" for letter, text in zip(_LETTERS, texts, strict=False)]


def _title(layout: Layout, one: Phenomenon) -> str:
    words = layout.words
    first = one.events[0]
    if len(one.events) == 1:
        return _upper(words(f"titles.{_shape(first)}", what=_what(layout, first.slice)))
    if first.kind in ("fixed", "attack"):
        days = sorted({day for event in one.events for day in event.days})
        return words(
            "titles.bursts_from",
            what=words.region(one.common["country"]),
            days=days,
        )
    what = _what(layout, one.common)
    return _upper(words(f"titles.{_shape(first)}", what=what))


def _shape(event: Found) -> str:
    """Return what an event looks like, as messages are named by it."""
    if event.kind == "trend":
        return event.direction
    if event.kind == "surge":
        if not event.stays:
            return "surge"
        return "level_over" if event.is_over else "level"
    return event.kind


def _what(layout: Layout, of: Mapping[str, Any]) -> str:
    """Return a slice of the traffic in words."""
    words = layout.words
    if "dst_port" in of or "icmp_type" in of:
        is_port = "dst_port" in of
        thing = words(
            "what.port" if is_port else "what.icmp", service=words.service(of)
        )
    else:
        thing = words.text(f"what.{of.get('traffic', 'packets')}")
    details = [
        words(f"what.{name}", value=str(of[name]))
        for name in ("tcp_window", "signature", "tool", "sensor")
        if name in of and not (name == "tcp_window" and "signature" in of)
    ]
    if "one_source" in of:
        details.append(words.text("what.one_source"))
    return words(
        "what.order",
        origin=words("what.origin", country=words.region(of["country"]))
        if "country" in of
        else "",
        thing=thing,
        details=words("what.details", details=details) if details else "",
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(layout: Layout, event: Found) -> str:
    """Return what happened, in one to four sentences."""
    words = layout.words
    sentences = [
        words(
            f"events.{_shape(event)}",
            what=_what(layout, event.slice),
            span=words.span(event.start, event.days[-1]),
            start=event.start,
            days=event.days[:1] if event.stays else event.days,
        ),
        *_amounts(layout, event),
    ]
    if event.fixed:
        fields = [
            words(f"fields.{name}", value=str(event.fixed[name]))
            for name in _FIELDS
            if name in event.fixed
        ]
        sentences.append(words("events.shared", fields=fields))
    if event.attacks:
        sentences.append(
            words("events.attacks", attacks=event.attacks, peak=event.peak)
        )
    if event.peaks:
        days = sorted({start[:10] for start, _ in event.peaks})[:_MOST_PEAKS]
        sentences.append(words("events.peaks", days=days))
    if event.others:
        sentences.append(words.text(f"events.others.{event.others}"))
    return words.text("sentences").join(_upper(one) for one in sentences)


def _amounts(layout: Layout, event: Found) -> Iterator[str]:
    words = layout.words
    if event.kind == "trend":
        if event.first_packets is None:
            return
        has_sources = event.first_sources is not None
        yield words(
            "events.levels_sources" if has_sources else "events.levels",
            first=event.first_packets,
            last=event.last_packets,
            few=event.first_sources,
            many=event.last_sources,
        )
        return
    yield words(
        "events.amount" if event.sources is None else "events.amount_sources",
        packets=event.packets,
        sources=event.sources,
        rate=event.per_hour,
        expected=words("events.expected", n=event.expected_per_hour)
        if event.expected_per_hour >= _SOME
        else words.text("events.expected_none"),
    )


def _besides(layout: Layout, one: Phenomenon) -> Iterator[str]:
    """Yield what may be read into it, and what may not."""
    words = layout.words
    for reading in one.readings:
        yield words(
            "phenomena.reading", text=words.reading(reading), source=reading.source
        )
    if any({"tcp_window", "signature"} & event.slice.keys() for event in one.events):
        yield words.text("phenomena.window")


def _fixed_table(layout: Layout, one: Phenomenon, title: str) -> Table:
    names = [name for name in _FIELDS if any(name in e.fixed for e in one.events)]
    columns = [
        ("traffic", False),
        *((name, True) for name in names),
        ("packets", True),
        *([("sources", True)] if one.sources is not None else []),
    ]
    rows = []
    for event in one.events:
        data = {
            **{f"of_{name}": value for name, value in event.slice.items()},
            **{name: event.fixed.get(name) for name in names},
            "packets": event.packets,
            "sources": event.sources,
        }
        texts = {
            "traffic": _upper(_what(layout, event.slice)),
            **{
                name: str(event.fixed[name])
                if name in event.fixed
                else layout.words.text("varies")
                for name in names
            },
            "packets": layout.count(event.packets),
            "sources": layout.count(event.sources),
        }
        rows.append((texts, data))
    return layout.table(f"{one.id}-fields", "fixed", columns, rows, what=title)


def _frequent(
    layout: Layout, one: Phenomenon, days: list[FrequentDay], title: str
) -> Block:
    words, least = layout.words, layout.report.settings["min_packets"]
    if not days:
        return Paragraph(words("phenomena.none_often", least=least))
    rows = []
    for day in days:
        texts = {
            "day": words.day(day.day),
            "addresses": layout.count(day.sources),
            "packets": layout.count(day.packets),
            "holders": _holders(layout, day.holders),
        }
        held_by = [[held.organisation, held.sources] for held in day.holders]
        data = {
            "day": day.day,
            "addresses": day.sources,
            "packets": day.packets,
            "holders": held_by,
        }
        rows.append((texts, data))
    columns = [
        ("day", False),
        ("addresses", True),
        ("packets", True),
        ("holders", False),
    ]
    return layout.table(
        f"{one.id}-often", "often", columns, rows, what=title, least=least
    )


def _holders(layout: Layout, holders: list[Holder]) -> str:
    words = layout.words
    if not holders:
        return words.text("not_looked_up")
    names = [
        words(
            "holder",
            name=held.organisation or words.text("holder_unknown"),
            sources=held.sources,
        )
        for held in holders[:_MOST_HOLDERS]
    ]
    if len(holders) > _MOST_HOLDERS:
        names.append(words.text("holder_others"))
    return words.listed(names)
