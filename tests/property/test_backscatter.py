"""Backscatter in a store is part of what was counted, whatever captures hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as b
import fastflow
import reference
import reference_echoes
import strategies
from fastflow.store import Store
from strategies import relaxed

#: Of each input, packets by what they are, in its record and in the tables.
SUMS = """
select id, counted, backscatter,
    coalesce((select sum(packets) from counts where input = id
        and traffic = 'backscatter'), 0)::bigint as of_traffic,
    coalesce((select sum(packets) from backscatter where input = id), 0)::bigint
        as in_rows,
    coalesce((select sum(list_sum(bin_packets)) from backscatter where input = id),
        0)::bigint as in_bins
from inputs
"""

#: Rows whose lists are not those of an hour: bins in order, each with packets.
STRANGE = """
select * from backscatter where len(bins) = 0 or len(bins) <> len(bin_packets)
    or list_min(bin_packets) < 1 or len(list_distinct(bins)) <> len(bins)
    or list_sort(bins) <> bins or list_sort(ports) <> ports or len(ports) > 16
    or bins[1]::bigint * 10 < epoch(hour)
    or bins[-1]::bigint * 10 >= epoch(hour) + 3600
"""

#: Echoes of two victims, so that some share a bin, an hour or nothing.
victims = st.sampled_from([b.SRC4, bytes([203, 0, 113, 9])])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    flags = draw(st.sampled_from([b.SYN | b.ACK, b.RST, b.SYN]))
    segment = b.tcp(src_port=draw(st.integers(1, 30)), flags=flags)
    return b.ipv4(segment, src=draw(victims))


@st.composite
def echoes(draw: st.DrawFn) -> bytes:
    """Draw a capture in which most packets are backscatter, ICMP errors as well."""
    builder = b.PcapBuilder()
    packets = st.lists(answers() | strategies.icmp_errors(), max_size=30)
    for packet in draw(packets):
        is_ipv6 = packet[0] >> 4 == 6
        ethertype = b.ETHERTYPE_IPV6 if is_ipv6 else b.ETHERTYPE_IPV4
        builder.add(
            b.ethernet(packet, ethertype=ethertype),
            sec=b.T0 + draw(st.integers(0, 40) | st.integers(3580, 7300)),
        )
    return builder.build()


@relaxed(30)
@given(st.lists(echoes() | strategies.captures(), min_size=1, max_size=3))
def test_what_is_stored_adds_up(
    tmp_path_factory: pytest.TempPathFactory, captures: list[bytes]
) -> None:
    directory = tmp_path_factory.mktemp("captures")
    paths = []
    for number, data in enumerate(captures):
        paths.append(directory / f"{number}.pcap")
        paths[-1].write_bytes(data)
    fastflow.reduce(paths, directory / "s", "lab")
    store = Store(directory / "s")
    for _ in range(2):
        for row in store.sql(SUMS).to_pylist():
            assert row["in_rows"] == row["in_bins"] == (row["backscatter"] or 0)
            assert row["in_rows"] <= row["of_traffic"] <= row["counted"]
        assert store.sql(STRANGE).to_pylist() == []
        assert Store.verify(directory / "s").is_good
        store.compact()


@relaxed(30)
@given(echoes())
def test_only_packets_without_a_victim_are_left_out(
    tmp_path_factory: pytest.TempPathFactory, capture: bytes
) -> None:
    directory: Path = tmp_path_factory.mktemp("capture")
    (directory / "a.pcap").write_bytes(capture)
    fastflow.reduce([directory / "a.pcap"], directory / "s", "lab", workers=1)
    rows = reference.decode_capture(capture).rows
    answers = [row for row in rows if row["traffic"] == "backscatter"]
    for row in Store(directory / "s").sql(SUMS).to_pylist():
        assert row["of_traffic"] == len(answers)
        assert row["in_rows"] == sum(
            reference_echoes.victim(one) is not None for one in answers
        )
