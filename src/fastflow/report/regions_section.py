"""Each source region: its own first ports, beside all others'."""

from __future__ import annotations

from fastflow.analysis.regions import PortShare
from fastflow.report.document import Block, Paragraph, Section
from fastflow.report.layout import Layout
from fastflow.report.mixes import Mix


def regions_section(layout: Layout) -> Section:
    """Return the section with one for each region."""
    words, regions = layout.words, layout.report.regions
    title = words.text("sections.by-region")
    if not regions:
        text = words.text("regions.none")
        return Section("by-region", title, (Paragraph(text),))
    settings = layout.report.settings
    intro = words(
        "regions.intro", regions=[words.region(one.country) for one in regions],
        points=settings["notable_difference"], interval=settings["interval"],
    )  # fmt: skip
    return Section(
        "by-region",
        title,
        (Paragraph(intro),),
        tuple(_section(layout, one) for one in regions),
    )


def _section(layout: Layout, one: Mix) -> Section:
    words = layout.words
    name = words.region(one.country)
    region_id = f"region-{one.country.lower()}"
    blocks: list[Block] = [Paragraph(text) for text in _texts(layout, one, name)]
    blocks.append(
        layout.table(
            f"{region_id}-ports",
            "region_ports",
            [
                ("port", False),
                ("packets", True),
                ("share", True),
                ("elsewhere", True),
                ("difference", True),
                ("interval", True),
                ("course", False),
            ],
            [(_row(layout, port), {**vars(port)}) for port in one.ports],
            region=name,
        )
    )
    if one.course is not None:
        blocks.append(
            layout.figure(f"{region_id}-course", "region_course", one.course,
                          region=name)
        )  # fmt: skip
    return Section(region_id, words.country(one.country), tuple(blocks))


def _texts(layout: Layout, one: Mix, name: str) -> list[str]:
    words = layout.words
    first = [words.port(port.port) for port in one.ports[:2]]
    texts = [words("regions.share", region=name, packets=one.packets, share=one.share)]
    if len(first) == 2:
        texts[0] += words.text("sentences") + words(
            "regions.first", region=name, first=first[0], second=first[1]
        )
    shares = {port.port: port for port in one.ports}
    for key, ports in (("larger", one.larger), ("smaller", one.smaller)):
        if ports:
            told = [_apart(layout, shares[port]) for port in ports]
            texts.append(words(f"regions.{key}", region=name, ports=told))
    if one.other_course:
        ports = [words.port(port) for port in one.other_course]
        texts.append(words("regions.other_course", region=name, ports=ports))
    if not one.larger and not one.smaller:
        is_known = any(port.difference is not None for port in one.ports)
        texts.append(words.text("regions.alike" if is_known else "regions.unknown"))
    return texts


def _apart(layout: Layout, port: PortShare) -> str:
    return layout.words(
        "regions.apart", port=layout.words.port(port.port), share=port.share,
        elsewhere=port.elsewhere,
    )  # fmt: skip


def _row(layout: Layout, port: PortShare) -> dict[str, str]:
    words = layout.words
    interval = words.text("unknown")
    if port.low is not None:
        interval = words("interval", low=port.low, high=port.high)
    course = {True: "other", False: "same", None: "too_short"}[port.course_differs]
    return {
        "port": words.port(port.port),
        "packets": layout.count(port.packets),
        "share": layout.percent(port.share),
        "elsewhere": layout.percent(port.elsewhere),
        "difference": layout.points(port.difference),
        "interval": interval,
        "course": words.text(f"regions.course_{course}"),
    }
