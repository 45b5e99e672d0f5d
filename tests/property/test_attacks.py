"""Attacks are those of the slow definition, however packets are split over inputs."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
import fastflow
import reference
import reference_attacks
import reference_echoes
from fastflow.analysis.events.attacks import read_attacks
from fastflow.analysis.selection import Selection
from fastflow.schema import BACKSCATTER
from fastflow.store import Store
from fastflow.store.attacks import ATTACKS
from reference_attacks import Attack
from strategies import relaxed

T0 = b.T0
#: More seconds than 32 bits count, from 1970 on.
LATE = 70 * 365 * 86_400
VICTIMS = [bytes(10) + b"\xff\xff" + bytes([203, 0, 113, n]) for n in range(3)]


@st.composite
def floods(draw: st.DrawFn) -> list[tuple[bytes, int, int]]:
    """Draw packets that make attacks, or nearly: (victim, version, ts in ns)."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    packets = []
    for _ in range(draw(st.integers(1, 5))):
        victim = rng.choice(VICTIMS)
        begin = T0 + rng.choice([0, 3000, 3590, 7000]) + rng.randrange(60)
        begin += rng.choice([0, 0, 0, LATE])
        for _ in range(rng.randint(1, 4)):
            seconds = rng.choice([5, 55, 60, 65, 120, 600])
            n = rng.choice([5, 24, 25, 30, 31, 60, 200])
            times = sorted(rng.randrange(seconds * 10**9 + 1) for _ in range(n))
            packets += [(victim, 4, begin * 10**9 + at) for at in times]
            begin += seconds + rng.choice([0, 280, 290, 299, 300, 310, 320, 400])
    return packets


def rows_of(packets: Iterable[tuple[bytes, int, int]], rng: random.Random) -> pa.Table:
    """Return rows of `backscatter`, packets shared among inputs and sensors at will."""
    rows: dict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
    for victim, version, ts in packets:
        where = rng.choice(["a", "b"]), rng.choice(["x", "y"])
        rows[where, victim, version, ts // 3_600_000_000_000][ts // 10**10] += 1
    return pa.Table.from_pylist(
        [
            {
                "hour": datetime.fromtimestamp(hour * 3600, UTC),
                "sensor": sensor,
                "country": "NZ",
                "src": victim,
                "ip_version": version,
                "packets": sum(bins.values()),
                "bins": sorted(bins),
                "bin_packets": [bins[n] for n in sorted(bins)],
                "ports": [80],
                "src_port": 80,
                "tcp_seq": None,
                "ip_ttl": 60,
                "tcp_window": 1,
                "input": input_id,
            }
            for ((sensor, input_id), victim, version, hour), bins in rows.items()
        ],
        BACKSCATTER,
    )


def attacks_of(backscatter: pa.Table) -> pa.Table:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("backscatter", backscatter)
        return connection.sql(ATTACKS).to_arrow_table()


def plain(table: pa.Table) -> list[Attack]:
    return sorted(
        Attack(
            (row["src"], row["ip_version"]),
            int(row["start"].timestamp()),
            int(row["end"].timestamp()),
            row["packets"],
            row["peak"],
        )
        for row in table.to_pylist()
    )


@relaxed(60)
@given(floods(), st.integers(0, 2**32))
def test_attacks_are_those_of_the_definition(
    packets: list[tuple[bytes, int, int]], seed: int
) -> None:
    found = attacks_of(rows_of(packets, random.Random(seed)))
    assert plain(found) == reference_attacks.attacks(packets)
    for row in found.to_pylist():
        assert (row["src_port"], row["tcp_seq"], row["ip_ttl"]) == (80, None, 60)
        assert (row["country"], row["src_ports"], row["tcp_window"]) == ("NZ", [80], 1)
        assert row["sensors"] in (1, 2)


@pytest.mark.parametrize(("before", "after"), [(15, 15), (29, 1), (1, 29), (15, 14)])
@pytest.mark.parametrize("length", [60, 3600])
def test_a_window_may_lie_in_two_minutes_and_two_hours(
    before: int, after: int, length: int
) -> None:
    edge = T0 // length * length
    seconds = [edge - 1 - n % 30 for n in range(before)]
    seconds += [edge + n % 30 for n in range(after)]
    seconds += [edge - 120, edge + 120]
    packets = [(VICTIMS[0], 4, at * 10**9) for at in seconds]
    found = plain(attacks_of(rows_of(packets, random.Random(0))))
    assert found == reference_attacks.attacks(packets)
    assert len(found) == (before + after >= 30)


def answers(seed: int) -> list[tuple[int, bytes]]:
    """Return frames of victims that answer, and their times in microseconds."""
    rng = random.Random(seed)
    frames = []
    for number in range(6):
        victim = bytes([203, 0, 113, number])
        begin, seconds = T0 + rng.randrange(7000), rng.choice([40, 90, 200])
        for _ in range(rng.choice([20, 60, 200])):
            at = begin * 10**6 + rng.randrange(seconds * 10**6)
            frames.append((at, answer(victim, number, rng)))
    return sorted(frames)


def answer(victim: bytes, number: int, rng: random.Random) -> bytes:
    sensor = bytes([198, 51, 100, rng.randrange(4)])
    if number % 3 == 0:
        quoted = b.ipv4(b.tcp(dst_port=80), src=sensor, dst=victim)
        error = b.icmp(quoted[: rng.choice([28, 40])], type=3, code=1)
        return b.ethernet(b.ipv4(error, proto=b.ICMP, src=b.SRC4, dst=sensor))
    if number % 3 == 1:
        reply = b.icmp(b"", type=0)
        return b.ethernet(b.ipv4(reply, proto=b.ICMP, src=victim, dst=sensor))
    flags = rng.choice([b.SYN | b.ACK, b.RST])
    segment = b.tcp(src_port=443, dst_port=rng.randrange(1 << 16), flags=flags)
    return b.ethernet(b.ipv4(segment, src=victim, dst=sensor))


def capture(frames: Iterable[tuple[int, bytes]]) -> bytes:
    builder = b.PcapBuilder()
    for at, frame in frames:
        builder.add(frame, sec=at // 10**6, frac=at % 10**6)
    return builder.build()


def slow_attacks(frames: Iterable[tuple[int, bytes]]) -> list[Attack]:
    rows = reference.decode_capture(capture(frames)).rows
    named = ((reference_echoes.victim(row), row) for row in rows)
    return reference_attacks.attacks(
        (victim[0], row["ip_version"], row["ts"]) for victim, row in named if victim
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_whole_way_whatever_way_it_was_split(tmp_path: Path, seed: int) -> None:
    frames = answers(seed)
    expected = slow_attacks(frames)
    assert 1 <= len(expected) < 6
    rng = random.Random(seed)
    for n_parts, workers in ((1, 1), (1, 2), (3, 2), (7, 1)):
        parts: list[list[tuple[int, bytes]]] = [[] for _ in range(n_parts)]
        for frame in frames:
            rng.choice(parts).append(frame)
        store = tmp_path / f"{n_parts}-{workers}"
        for number, part in enumerate(parts):
            path = tmp_path / f"{number}.pcap"
            path.write_bytes(capture(part))
            fastflow.reduce([path], store, f"sensor-{number % 2}", workers=workers)
        assert plain(Store(store).sql("select * from attacks")) == expected


def test_attacks_as_some_sensors_saw_them(tmp_path: Path) -> None:
    frames = [answers(seed) for seed in (0, 1)]
    for sensor, seen in enumerate(frames):
        path = tmp_path / f"{sensor}.pcap"
        path.write_bytes(capture(seen))
        fastflow.reduce([path], tmp_path / "store", f"sensor-{sensor}")
    store = Store(tmp_path / "store")
    hours = T0 // 3600 - 1, T0 // 3600 + 9
    assert slow_attacks(frames[0]) != slow_attacks(frames[1])
    for sensor, seen in enumerate(frames):
        selection = Selection(store, sensors=[f"sensor-{sensor}"])
        found = read_attacks(selection, *hours)
        assert plain(pa.Table.from_pylist(found)) == slow_attacks(seen)
    every = read_attacks(Selection(store), *hours)
    assert plain(pa.Table.from_pylist(every)) == slow_attacks(
        sorted(frames[0] + frames[1])
    )
