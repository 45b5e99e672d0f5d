"""The reference quarter: a store made of its captures says what the report says."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from fastflow.analysis.network import gaps, sensors
from fastflow.analysis.selection import Selection
from fastflow.synth.course import N_DAYS
from fastflow.synth.tsubame_figures import OFF_AIR
from quarter import Quarter, ask, daily, make_and_reduce, top

pytest_plugins = ["quarter_fixture"]

ZONES = ("UTC", "Asia/Tokyo")
SENSORS = (None, ["JP"])
#: Tables 1 and 2 of the report: key and rank in the quarter before.
PORTS = [("445/tcp", 2), ("23/tcp", 1), ("1433/tcp", 3), ("22/tcp", 5), ("80/tcp", 4)]
COUNTRIES = [("US", 2), ("RU", 1), ("CN", 4), ("NL", 3), ("DE", 9)]
#: Neighbouring ranks of the report are at least so much apart.
MARGIN = 1.07


def check_ranks(quarter: Quarter, tz: str, chosen: list[str] | None) -> None:
    for by, expected in (("port", PORTS), ("country", COUNTRIES)):
        rows = top(quarter, by, tz=tz, sensors=chosen)
        found = [(row["key"], row["previous_rank"]) for row in rows[:5]]
        assert found == expected
        for period, ranks in (("2020-Q3", 6), ("2020-Q2", 5)):
            rows = top(quarter, by, period, n=ranks, tz=tz, sensors=chosen)
            packets = [row["packets"] for row in rows]
            assert all(more > less * MARGIN for more, less in pairwise(packets))


@pytest.mark.parametrize(("tz", "chosen"), [*product(ZONES, SENSORS)])
def test_ranks_are_those_of_the_report(
    quarter: Quarter, tz: str, chosen: list[str] | None
) -> None:
    check_ranks(quarter, tz, chosen)


def test_ranks_do_not_depend_on_scale_and_seed(tmp_path: Path) -> None:
    other = make_and_reduce(tmp_path, 0.037, seed=2**64 - 1)
    assert other.truth["packets"] == 370_000
    for tz, chosen in product(ZONES, SENSORS):
        check_ranks(other, tz, chosen)


def test_germany_was_ninth_by_a_clear_margin(quarter: Quarter) -> None:
    for tz, chosen in product(ZONES, SENSORS):
        rows = top(quarter, "country", "2020-Q2", tz=tz, sensors=chosen)
        before, germany, after = rows[7:10]
        assert germany["key"] == "DE"
        assert before["packets"] > germany["packets"] * 1.05
        assert germany["packets"] > after["packets"] * 1.05


def frequent(quarter: Quarter, ahead: int, where: str = "true") -> dict[str, int]:
    """Return the sources of New Zealand with 25 packets on a day, as table 3."""
    rows = ask(
        quarter,
        "select day, count(*) from (select (hour + interval "
        f"{ahead} hour)::date::text as day from sources where country = 'NZ' and "
        f"{where} group by day, src having sum(packets) >= 25) group by day",
    )
    return dict(rows)


@pytest.mark.parametrize("ahead", [0, 9])
def test_sources_seen_often_are_those_of_table_3(quarter: Quarter, ahead: int) -> None:
    expected = {"2020-08-27": 4, "2020-08-30": 1, "2020-08-31": 7}
    assert quarter.truth["often"]["sources"] == expected
    assert frequent(quarter, ahead) == expected
    in_japan = "sensor in ('tokyo-1', 'osaka-1', 'fukuoka-1')"
    assert frequent(quarter, ahead, in_japan) == expected
    for kind in ("traffic = 'backscatter'", "dst_port = 23"):
        assert frequent(quarter, ahead, f"{kind} and {in_japan}") == expected


def test_bursts_have_one_window_one_sequence_number_and_known_holders(
    quarter: Quarter,
) -> None:
    first, second = quarter.truth["holders"]
    assert (first["organisation"], second["organisation"]) == ("stock exchange", "bank")
    rows = ask(
        quarter,
        "select hour::date::text, traffic, dst_port = 23, "
        "list(distinct signature), list(distinct tcp_seq), list(distinct src_port), "
        "list(distinct src) from sources where country = 'NZ' and "
        "signature in ('16384:2:1460:', '5840:::') group by all order by all",
    )
    assert [row[0] for row in rows[::2]] == ["2020-08-27", "2020-08-30", "2020-08-31"]
    networks = [network["network"].split("/")[0] for network in (first, first, second)]
    for answer, probe, network in zip(rows[::2], rows[1::2], networks, strict=True):
        assert answer[1:6] == (
            *("backscatter", False, ["16384:2:1460:"]),
            *([0x1D0C57E5], [443]),
        )
        assert probe[1:4] == ("scan", True, ["5840:::"])
        # Every probe has a number and a port of its own.
        assert None in probe[4]
        prefix = bytes(map(int, network.split(".")))[:3]
        assert {src[12:15] for src in answer[6] + probe[6]} == {prefix}


def test_an_attack_can_be_told_from_the_answers_of_each_victim(
    quarter: Quarter,
) -> None:
    """25 packets, 60 s from first to last, 30 packets in some 60 s (RSDoS)."""
    from fastflow import scan

    times: dict[tuple[str, bytes], list[int]] = {}
    columns = ["ts", "src", "src_port", "tcp_flags", "tcp_seq"]
    for day in ("27", "30", "31"):
        for path in quarter.captures.glob(f"*/2020-08-{day}.pcap"):
            for row in (r for b in scan(path, columns=columns) for r in b.to_pylist()):
                if row["tcp_flags"] == 18 and row["tcp_seq"] == 0x1D0C57E5:
                    second = row["ts"].timestamp()
                    times.setdefault((day, row["src"]), []).append(second)
    assert len(times) == 12
    for seconds in times.values():
        moments = np.sort(seconds)
        assert moments[-1] - moments[0] >= 60
        in_a_minute = np.searchsorted(moments, moments + 60) - np.arange(len(moments))
        assert in_a_minute.max() >= 30


def weekly(quarter: Quarter, where: dict[str, str], measure: str) -> np.ndarray:
    """Return a course in the 13 whole weeks of the second quarter, as one row."""
    table = quarter.store.trend(
        "traffic", "2020-06-29..2020-09-27", where, 1, every="week", measure=measure
    )
    return table[measure].to_numpy().astype(float)


@pytest.mark.parametrize("measure", ["packets", "sources"])
def test_445_from_japan_rises_where_the_window_is_8192(
    quarter: Quarter, measure: str
) -> None:
    both = {"country": "JP", "port": "445/tcp"}
    rising = weekly(quarter, {**both, "window": "8192"}, measure)
    assert rising[-4:].mean() > 4 * rising[:4].mean()
    level = weekly(quarter, both, measure) - rising
    slope, _ = np.polyfit(np.arange(13), level, 1)
    assert abs(slope * 12) < 0.5 * level.mean()


@pytest.mark.parametrize("measure", ["packets", "sources"])
def test_22_rises_in_the_second_quarter(quarter: Quarter, measure: str) -> None:
    course = weekly(quarter, {"port": "22/tcp"}, measure)
    assert course[-4:].mean() > 1.35 * course[:4].mean()


def test_445_is_high_since_late_april(quarter: Quarter) -> None:
    found = daily(quarter, {"proto": 6, "dst_port": 445})
    before = [n for day, (n, _) in found.items() if day < "2020-04-24"]
    after = [n for day, (n, _) in found.items() if "2020-04-24" <= day < "2020-06"]
    assert np.mean(after) > 3 * np.mean(before)
    assert max(before) < min(after)


@pytest.mark.parametrize("chosen", SENSORS)
def test_russia_has_two_ports_before_all_others(
    quarter: Quarter, chosen: list[str] | None
) -> None:
    russia = top(quarter, "port", n=3, where={"country": "RU"}, sensors=chosen)
    assert [row["key"] for row in russia[:2]] == ["22/tcp", "3389/tcp"]
    assert russia[1]["packets"] > russia[2]["packets"] * MARGIN
    everywhere = {
        row["key"]: row["packets"] for row in top(quarter, "port", n=30, sensors=chosen)
    }
    (of_all,) = {
        one["packets"]
        for one in quarter.truth["rankings"]
        if one["period"] == "2020-Q3"
        and one["tz"] == "UTC"
        and one["sensors"] == ("JP" if chosen else "all")
    }
    of_russia = russia[0]["packets"] / russia[0]["share"]
    for row in russia[:2]:
        elsewhere = (everywhere[row["key"]] - row["packets"]) / (of_all - of_russia)
        assert row["share"] > elsewhere + 0.1


def test_the_two_ports_from_russia_have_a_course_of_their_own(quarter: Quarter) -> None:
    ssh = weekly(quarter, {"country": "RU", "port": "22/tcp"}, "packets")
    rdp = weekly(quarter, {"country": "RU", "port": "3389/tcp"}, "packets")
    us = weekly(quarter, {"country": "US", "port": "22/tcp"}, "packets")
    hump = rdp[5:9].mean()
    assert hump > 2 * rdp[:3].mean()
    assert hump > 2 * rdp[-2:].mean()
    # Elsewhere the second half of the quarter has more of 22/TCP; here the first rose.
    assert us[-4:].mean() / us[2:6].mean() > 1.2 * ssh[-4:].mean() / ssh[2:6].mean()


def test_the_united_states_have_the_ports_that_all_have(quarter: Quarter) -> None:
    rows = top(quarter, "port", n=5, where={"country": "US"})
    assert [row["key"] for row in rows] == [key for key, _ in PORTS]


def test_sensors_are_those_of_the_file_and_the_gap_is_told(quarter: Quarter) -> None:
    selection = Selection(
        quarter.store, "2020-04-01..2020-09-30", sensors_file=quarter.sensors_file
    )
    rows = {row["sensor"]: row for row in sensors(selection)}
    assert {
        name: (row["country"], row["addresses"], row["packets"])
        for name, row in rows.items()
    } == {
        one["sensor"]: (one["country"], one["addresses"], one["packets"])
        for one in quarter.truth["sensors"]
    }
    off = date.fromisoformat(OFF_AIR[1]) - date.fromisoformat(OFF_AIR[0])
    for name, row in rows.items():
        away = off // timedelta(hours=1) if name == "frankfurt-1" else 0
        assert row["hours_on_air"] == N_DAYS * 24 - away
    (gap,) = gaps(selection)
    (told,) = [one for one in quarter.truth["phenomena"] if one["kind"] == "gap"]
    assert gap == {
        "sensor": "frankfurt-1",
        "from": f"{told['start']}T00:00:00Z",
        "until": f"{told['end']}T00:00:00Z",
        "hours": 96,
    }


@pytest.mark.parametrize("where", [{"port": "1433/tcp"}, {"country": "UA"}])
def test_the_background_wavers_like_counts_and_has_no_event(
    quarter: Quarter, where: dict[str, str]
) -> None:
    """Where nothing is planted: at the sensors in Japan, after the step in April."""
    table = quarter.store.trend(
        "traffic",
        "2020-04-25..2020-09-30",
        {**where, "traffic": "scan"},
        1,
        sensors=["JP"],
        sensors_file=quarter.sensors_file,
    )
    packets = table["packets"].to_numpy().astype(float)
    assert len(packets) == 159
    assert 0.5 < packets.var() / packets.mean() < 1.5
    assert np.abs(packets - packets.mean()).max() < 4.5 * np.sqrt(packets.mean())
    slope, _ = np.polyfit(np.arange(159), packets, 1)
    assert abs(slope * 159) < 0.25 * packets.mean()


def test_many_sources_send_little_and_few_send_much(quarter: Quarter) -> None:
    rows = ask(
        quarter,
        "select sum(packets)::int from sources where country = 'US' group by src",
    )
    packets = np.sort([row[0] for row in rows])[::-1]
    tenth = len(packets) // 10
    assert packets[:tenth].sum() > 0.3 * packets.sum()
    assert packets[0] > 200 * np.median(packets)


def test_tools_leave_their_marks(quarter: Quarter) -> None:
    from fastflow import scan

    columns = ["dst", "dst_port", "ip_id", "tcp_flags", "tcp_seq", "tcp_window"]
    path = quarter.captures / "tokyo-1" / "2020-06-10.pcap"
    rows = [row for batch in scan(path, columns=columns) for row in batch.to_pylist()]
    found: Counter[str] = Counter()
    for row in rows:
        if row["tcp_flags"] == 2:
            dst = int.from_bytes(row["dst"][12:])
            formula = (dst ^ row["dst_port"] ^ row["tcp_seq"]) & 0xFFFF
            found["mirai"] += row["tcp_seq"] == dst
            found["masscan"] += row["ip_id"] == formula and row["tcp_window"] == 1024
            found["zmap"] += row["ip_id"] == 54321 and row["tcp_window"] == 65535
    assert min(found.values()) > 0.04 * len(rows)
    assert len(found) == 3


def test_there_is_udp_icmp_and_backscatter_of_other_victims(quarter: Quarter) -> None:
    rows = ask(
        quarter,
        "select proto, traffic, sum(packets)::int from counts "
        "where country <> 'NZ' group by all",
    )
    shares = {(proto, traffic): n / 200_000 for proto, traffic, n in rows}
    assert shares.keys() == {
        *((6, "scan"), (6, "backscatter"), (17, "scan")),
        *((1, "scan"), (1, "backscatter")),
    }
    assert min(shares.values()) > 0.005


def test_no_day_of_a_victim_elsewhere_looks_like_an_attack(quarter: Quarter) -> None:
    rows = ask(
        quarter,
        "select max(packets)::int from (select sum(packets) as packets from sources "
        "where traffic = 'backscatter' and country <> 'NZ' group by src, hour)",
    )
    assert rows[0][0] < 25
