"""The report of the reference quarter is that of JPCERT/CC, in numbers and words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastflow.analysis.selection import Selection
from fastflow.holders.holders import Holders
from fastflow.report.compose import compose
from fastflow.report.document import Document, Table
from fastflow.report.model import Report, build
from fastflow.report.words import Words
from quarter import Quarter, ask, make_and_reduce, top
from report_texts import numbers_in, texts_of, words_without_digits, written

pytest_plugins = ["quarter_fixture"]

TOKYO = "Asia/Tokyo"
LANGUAGES = ("en", "ja")

#: Tables 1 and 2: key, and rank in the quarter before.
PORTS = [("445/tcp", 2), ("23/tcp", 1), ("1433/tcp", 3), ("22/tcp", 5), ("80/tcp", 4)]
#: By IANA.
SERVICES = ["microsoft-ds", "telnet", "ms-sql-s", "ssh", "http"]
REGIONS = [("US", 2), ("RU", 1), ("CN", 4), ("NL", 3), ("DE", 9)]
#: Table 3.
OFTEN = {"2020-08-27": 4, "2020-08-30": 1, "2020-08-31": 7}


def report_of(
    quarter: Quarter, sensors: list[str] | None = None, **named: Any
) -> Report:
    selection = Selection(
        quarter.store,
        named.pop("period", "2020-Q3"),
        tz=TOKYO,
        sensors=sensors,
        sensors_file=quarter.sensors_file,
    )
    holders = Holders([quarter.captures / "holders.csv"])
    return build(selection, holders=holders, **named)


@pytest.fixture(scope="module")
def everywhere(quarter: Quarter) -> Report:
    return report_of(quarter)


@pytest.fixture(scope="module")
def japan(quarter: Quarter) -> Report:
    return report_of(quarter, ["JP"])


@pytest.fixture(params=["everywhere", "japan"])
def report(request: pytest.FixtureRequest) -> Report:
    found: Report = request.getfixturevalue(request.param)
    return found


def json_of(report: Report) -> Any:
    return json.loads(json.dumps(report.to_json()))


def test_ranks_are_those_of_tables_1_and_2(report: Report) -> None:
    found = json_of(report)
    for table, expected in (("ports", PORTS), ("countries", REGIONS)):
        rows = found[table]["rows"]
        assert [row["rank"] for row in rows] == list(range(1, 11))
        keys = [(row["key"], row["previous_rank"]) for row in rows[:5]]
        assert keys == expected
        services = [row["service"] for row in rows[:5]]
        assert services == (SERVICES if table == "ports" else [None] * 5)
        assert [line["key"] for line in found[table]["course"]["lines"]] == [
            key for key, _ in expected
        ]


def test_ranks_and_courses_are_those_of_top_and_trend(
    quarter: Quarter, japan: Report
) -> None:
    for by, table in (("port", japan.ports), ("country", japan.countries)):
        rows = top(quarter, by, tz=TOKYO, sensors=["JP"])
        names = ("rank", "key", "packets", "sources", "share", "previous_rank")
        assert [{name: vars(row)[name] for name in names} for row in table.rows] == [
            {name: row[name] for name in names} for row in rows
        ]
        others = top(
            quarter,
            by,
            tz=TOKYO,
            sensors=["US", "DE", "SG", "BR", "AU"],
        )
        elsewhere = {row["key"]: row["rank"] for row in others}
        assert [row.rank_elsewhere for row in table.rows] == [
            elsewhere.get(row.key) for row in table.rows
        ]
        course = quarter.store.trend(
            by, "2020-Q3", tz=TOKYO, sensors=["JP"], sensors_file=quarter.sensors_file
        )
        for line in table.course.lines:
            mine = [row for row in course.to_pylist() if row["key"] == line.key]
            assert line.values == [row["packets"] for row in mine]
            assert table.course.times == [
                row["time"].replace(tzinfo=None).isoformat() for row in mine
            ]


def test_a_figure_has_a_day_of_tokyo_for_each_day(report: Report) -> None:
    times = report.ports.course.times
    assert (times[0], times[-1]) == ("2020-07-01T00:00:00", "2020-09-30T00:00:00")
    assert len(times) == report.period.days == 92


def test_the_gap_is_told_and_marked(everywhere: Report, japan: Report) -> None:
    (gap,) = everywhere.overview.gaps
    assert (gap.sensor, gap.hours) == ("frankfurt-1", 96)
    assert (gap.start[:13], gap.until[:13]) == ("2020-07-13T09", "2020-07-17T09")
    assert everywhere.ports.course.gaps == [
        ("2020-07-13T00:00:00", "2020-07-18T00:00:00")
    ]
    assert japan.overview.gaps == japan.ports.course.gaps == []


def test_totals_and_rates(quarter: Quarter, japan: Report) -> None:
    where = (
        "from sources where sensor in ('tokyo-1', 'osaka-1', 'fukuoka-1') and "
        "hour >= '2020-06-30 15:00' and hour < '2020-09-30 15:00'"
    )
    ((packets, sources),) = ask(
        quarter,
        f"select sum(packets)::bigint, count(distinct (src, ip_version)) {where}",
    )
    seen = japan.overview
    assert (seen.rate.packets, seen.sources) == (packets, sources)
    assert seen.addresses == 36
    assert seen.rate.per_address_day == pytest.approx(packets / 36 / 92)
    # They are on the air from 1 April 9:00 of Tokyo on.
    days = 91 - 9 / 24
    assert seen.rate.previous == pytest.approx((seen.previous_packets or 0) / 36 / days)
    assert seen.n_others == 5
    assert sum(one.rate.packets for one in seen.sensors) == packets


def test_445_is_high_since_late_april_and_22_rises(report: Report) -> None:
    remarks = json_of(report)["remarks"]["port"]
    (level,) = remarks["levels"]
    assert level["key"] == "445/tcp"
    assert "2020-04-23" <= level["since"][:10] <= "2020-04-26"
    (slope,) = remarks["slopes"]
    assert (slope["key"], slope["direction"]) == ("22/tcp", "rose")
    assert slope["last_packets"] > 1.5 * slope["first_packets"]
    assert slope["last_sources"] > 1.5 * slope["first_sources"]


def test_apart_from_the_first_two_ranks_hardly_moved(report: Report) -> None:
    remarks = json_of(report)["remarks"]
    assert remarks["port"]["moves"]["swapped"] == ["445/tcp", "23/tcp"]
    assert remarks["port"]["moves"]["far"] == []
    assert remarks["country"]["moves"]["swapped"] == ["US", "RU"]
    assert [row["key"] for row in remarks["country"]["moves"]["far"]] == ["DE"]


def test_russia_has_a_mix_of_its_own_and_the_united_states_have_not(
    report: Report,
) -> None:
    regions = {one["country"]: one for one in json_of(report)["regions"]}
    russia, states = regions["RU"], regions["US"]
    assert [port["port"] for port in russia["ports"][:2]] == ["22/tcp", "3389/tcp"]
    for port in russia["ports"][:2]:
        assert port["low"] > 0.1
    assert russia["larger"] == ["22/tcp", "3389/tcp"]
    assert "22/tcp" in russia["other_course"]
    assert [line["key"] for line in russia["course"]["lines"]][:2] == russia["larger"]
    assert {port["port"] for port in states["ports"]} == {key for key, _ in PORTS}
    assert states["larger"] == states["smaller"] == []
    assert states["course"] is None


def phenomenon(report: Report, section_id: str) -> Any:
    return next(
        one
        for one in json_of(report)["phenomena"]["sections"]
        if one["id"] == section_id
    )


def test_445_from_japan_rises_where_the_window_is_8192(everywhere: Report) -> None:
    found = phenomenon(everywhere, "445-tcp-jp-window-8192")
    (event,) = found["events"]
    assert (event["kind"], event["direction"]) == ("trend", "rose")
    assert event["slice"] == {
        "proto": 6,
        "dst_port": 445,
        "country": "JP",
        "tcp_window": 8192,
    }
    assert event["others"] == "window"
    for measure in ("packets", "sources"):
        of_window, rest = found[measure]["lines"]
        assert (of_window["of"], rest["of"]) == (
            {"tcp_window": 8192},
            {"rest": ["tcp_window"]},
        )
        first, last = slice(0, 21), slice(-21, None)
        assert sum(of_window["values"][last]) > 4 * sum(of_window["values"][first])
        assert 0.7 < sum(rest["values"][last]) / sum(rest["values"][first]) < 1.4
    assert "MS17-010" in found["readings"][0]["about"]
    assert found["frequent"] is None


def test_hosts_by_window_are_exact(quarter: Quarter, everywhere: Report) -> None:
    found = phenomenon(everywhere, "445-tcp-jp-window-8192")["sources"]
    rows = ask(
        quarter,
        "select ((hour + interval 9 hour)::date)::text as day, "
        "count(distinct src) filter (where signature like '8192:%')::int, "
        "count(distinct src) filter (where signature not like '8192:%')::int "
        "from sources where country = 'JP' and dst_port = 445 and proto = 6 and "
        "hour >= '2020-06-30 15:00' and hour < '2020-09-30 15:00' "
        "group by day order by day",
    )
    by_day = {day: (mine, others) for day, mine, others in rows}
    for nth, line in enumerate(found["lines"]):
        expected = [by_day.get(time[:10], (0, 0))[nth] for time in found["times"]]
        assert line["values"] == expected


def test_bursts_from_new_zealand_are_one_story(report: Report) -> None:
    found = phenomenon(report, "nz-backscatter-23-tcp")
    attack, scan = found["events"]
    for event in (attack, scan):
        assert event["days"] == list(OFTEN)
        assert event["sources_by_day"] == OFTEN
        assert event["sources"] == 12
    assert attack["slice"] == {"country": "NZ", "traffic": "backscatter"}
    assert (attack["fixed"]["src_port"], attack["fixed"]["tcp_window"]) == (443, 16384)
    assert attack["fixed"]["tcp_seq"] == 487348197
    assert (scan["slice"]["dst_port"], scan["fixed"]["tcp_window"]) == (23, 5840)
    assert "tcp_seq" not in scan["fixed"]
    course = found["packets"]
    assert course["every"] == "hour"
    assert course["times"][0] == "2020-08-26T00:00:00"
    assert course["times"][-1] == "2020-09-02T23:00:00"
    *_, rest = course["lines"]
    assert rest["key"] == "rest"
    for line, event in zip(course["lines"], (attack, scan), strict=False):
        assert sum(line["values"]) == event["packets"]


def test_table_3_has_days_addresses_and_holders(report: Report) -> None:
    found = phenomenon(report, "nz-backscatter-23-tcp")["frequent"]
    assert {day["day"]: day["sources"] for day in found} == OFTEN
    assert [day["holders"] for day in found] == [
        [{"organisation": "stock exchange", "sources": 4}],
        [{"organisation": "stock exchange", "sources": 1}],
        [{"organisation": "bank", "sources": 7}],
    ]


def test_no_address_is_in_the_report(report: Report) -> None:
    text = json.dumps(report.to_json())
    assert 'src"' not in text.replace('src_port"', "")
    for lang in LANGUAGES:
        assert "198.18." not in "\n".join(texts_of(compose(report, Words.load(lang))))


def test_attacks_by_day(report: Report) -> None:
    found = json_of(report)["backscatter"]
    begun = {day["day"]: day["attacks"] for day in found["days"] if day["attacks"]}
    assert begun == OFTEN
    assert (found["attacks"], found["attacked"]) == (12, 12)
    assert sum(day["packets"] for day in found["days"]) == found["packets"]
    traffic = json_of(report)["overview"]["traffic"]
    assert traffic["backscatter"] == found["packets"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_number_of_the_text_is_in_the_findings(report: Report, lang: str) -> None:
    """No claim without its number: none is made by the words, or on the way to them."""
    known = written(json_of(report))
    document = compose(report, words_without_digits(lang))
    for text in texts_of(document):
        wrong = [number for number in numbers_in(text) if number not in known]
        assert not wrong, text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_tables_and_figures_are_numbered_and_named_once(
    report: Report, lang: str
) -> None:
    document = compose(report, Words.load(lang))
    ids = [one.id for one in (*document.tables, *document.figures, *document.walk())]
    assert len(set(ids)) == len(ids)
    for kind, blocks in (("table", document.tables), ("figure", document.figures)):
        words = Words.load(lang)
        for number, block in enumerate(blocks, start=1):
            start = words(kind, number=str(number), title="")
            assert block.caption.startswith(start)


def table(document: Document, table_id: str) -> Table:
    return next(one for one in document.tables if one.id == table_id)


def column(document: Document, table_id: str, *keys: str) -> list[tuple[str, ...]]:
    rows = table(document, table_id).rows
    return [tuple(row[key] for key in keys) for row in rows]


def test_tables_in_japanese(japan: Report) -> None:
    document = compose(japan, Words.load("ja"))
    names = [f"{key.replace('/tcp', '/TCP')}" for key, _ in PORTS]
    assert column(document, "top-ports", "rank", "port", "previous_rank") == [
        (str(rank), f"{name}（{service}）", str(before))
        for rank, (name, service, (_, before)) in enumerate(
            zip(names, SERVICES, PORTS, strict=True), start=1
        )
    ]
    regions = ["米国", "ロシア", "中国", "オランダ", "ドイツ"]
    assert column(document, "top-regions", "country", "previous_rank") == [
        (name, str(before)) for name, (_, before) in zip(regions, REGIONS, strict=True)
    ]
    often = column(
        document, "nz-backscatter-23-tcp-often", "day", "addresses", "holders"
    )
    assert often == [
        ("2020年8月27日", "4", "stock exchange（4）"),
        ("2020年8月30日", "1", "stock exchange（1）"),
        ("2020年8月31日", "7", "bank（7）"),
    ]
    heads = [one.title for one in table(document, "top-ports").columns]
    assert heads[:3] == ["順位", "宛先ポート番号", "前四半期の順位"]


def test_sentences_of_both_languages(everywhere: Report) -> None:
    said = {
        lang: "\n".join(texts_of(compose(everywhere, Words.load(lang))))
        for lang in LANGUAGES
    }
    for text in (
        "Short bursts from New Zealand on 27, 30 and 31 August 2020",
        "445/TCP (microsoft-ds) has been high since 2",
        "445/TCP (microsoft-ds) and 23/TCP (telnet) changed places",
        "Germany went from rank 9 to rank 5.",
        "A window size alone does not tell what software sent a packet.",
        "sequence number 487348197",
    ):
        assert text in said["en"]
    for text in (
        "ニュージーランドからのパケットの一時的な増加（2020年8月27日、30日、31日）",
        "445/TCP（microsoft-ds）は、2020年4月2",
        "ごろから多い状態が続いています。",
        "ドイツは9位から5位になりました。",
        "シーケンス番号487348197",
        "注目された現象",
    ):
        assert text in said["ja"]


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Five times the packets: three sensors see what eight see at the smallest."""
    quarter = make_and_reduce(tmp_path_factory.mktemp("larger"), 0.1)
    return report_of(quarter, ["JP"])


def test_three_sensors_find_the_whole_report(larger: Report) -> None:
    test_ranks_are_those_of_tables_1_and_2(larger)
    test_445_is_high_since_late_april_and_22_rises(larger)
    test_apart_from_the_first_two_ranks_hardly_moved(larger)
    test_russia_has_a_mix_of_its_own_and_the_united_states_have_not(larger)
    test_bursts_from_new_zealand_are_one_story(larger)
    test_table_3_has_days_addresses_and_holders(larger)
    test_445_from_japan_rises_where_the_window_is_8192(larger)
    (rdp,) = phenomenon(larger, "3389-tcp-ru")["events"]
    assert (rdp["stays"], rdp["is_over"]) == (True, True)
    assert rdp["end"] < "2020-09-15"
    (smb,) = phenomenon(larger, "445-tcp")["events"]
    assert (smb["stays"], smb["is_over"]) == (True, False)
    russia = next(one for one in larger.regions if one.country == "RU")
    assert russia.other_course[:2] == ["22/tcp", "3389/tcp"]
    test_every_number_of_the_text_is_in_the_findings(larger, "ja")


def test_without_holders_nobody_is_named(quarter: Quarter, tmp_path: Path) -> None:
    selection = Selection(
        quarter.store, "2020-08", tz=TOKYO, sensors_file=quarter.sensors_file
    )
    report = build(selection, min_packets=100)
    assert report.previous is not None
    assert report.previous.text == "2020-07"
    (bursts,) = (one for one in report.phenomena.sections if one.frequent is not None)
    assert {day.day: day.sources for day in bursts.frequent or []} == OFTEN
    assert all(day.holders == [] for day in bursts.frequent or [])
    document = compose(report, Words.load("ja"))
    assert {row["holders"] for row in table(document, f"{bursts.id}-often").rows} == {
        "未照会"
    }
    assert "前月の順位" in {one.title for one in table(document, "top-ports").columns}


def test_a_number_out_of_nowhere_is_noticed(japan: Report) -> None:
    known = written(json_of(japan))
    document = replace(compose(japan, words_without_digits("en")), title="4,711 more")
    found = [number for text in texts_of(document) for number in numbers_in(text)]
    assert [number for number in found if number not in known] == ["4,711"]
