"""Good captures of every format, cut after each byte, and with each byte changed.

The cases S1 and S2 of the reliability rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import builders as b
import erf_builders as erf
import snoop_builders as sn
from pcapng_builders import BIG, LITTLE, NRB, Blocks
from rows import assert_same

FRAME = b.ethernet(b.ipv4(b.tcp(options=b.mss(1460))))
#: As few bytes as a packet with ports takes.
SMALL = b.ipv4(b.udp(), proto=b.UDP)


def pcap(magic: int, byteorder: b.ByteOrder) -> list[bytes]:
    builder = b.PcapBuilder(magic=magic, byteorder=byteorder)
    builder.add(FRAME).add(b"").add(FRAME, wirelen=1514)
    return [b.PcapBuilder(magic=magic, byteorder=byteorder).build(), *builder.body]


def pcapng(k: Blocks) -> list[bytes]:
    return [
        k.shb(k.option(4, b"fastflow")),
        k.idb(k.tsresol(9) + k.end_of_options()),
        k.epb(FRAME, units=b.T0 * 10**9, options=k.option(1, b"no comment")),
        k.block(NRB, bytes(4)),
        k.pb(FRAME, drops=2),
        k.isb_drops(ifdrop=3),
        BIG.shb(),
        BIG.idb(),
        BIG.spb(FRAME),
    ]


GOOD = {
    "pcap": pcap(b.MAGIC_USEC, "little"),
    "pcap big-endian, ns": pcap(b.MAGIC_NSEC, "big"),
    "pcap modified": pcap(b.MAGIC_MODIFIED, "little"),
    "pcapng": pcapng(LITTLE),
    "pcapng big-endian": pcapng(BIG),
    "snoop": [
        sn.snoop_header(),
        sn.snoop_record(FRAME, drops=1),
        sn.snoop_record(FRAME, pad=7),
    ],
    "erf": [
        erf.erf_record(FRAME),
        erf.erf_record(b.ipv4(b.tcp()), kind=erf.IPV4, extensions=2),
        erf.erf_record(bytes(8), kind=erf.META),
        erf.erf_record(FRAME, kind=erf.COLOR_ETH),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_cut_file_keeps_its_packets_and_says_that_it_is_cut(name: str) -> None:
    data = b"".join(GOOD[name])
    ends = {len(b"".join(GOOD[name][: n + 1])) for n in range(len(GOOD[name]))}
    whole = assert_same(data)
    assert whole.status == "complete"
    n_rows = 0
    for size in range(len(data)):
        cut = assert_same(data[:size], batch_rows=8, block_bytes=1000)
        assert (cut.status == "complete") == (size in ends), size
        assert cut.status in ("complete", "truncated", "rejected"), size
        assert cut.rows == whole.rows[: cut.records]
        assert n_rows <= cut.records
        n_rows = cut.records


def joined(*records: bytes) -> bytes:
    return b"".join(records)


#: About 200 bytes each, with a packet before and behind whatever is changed.
DENSE = {
    "pcap": b.capture(SMALL, SMALL, SMALL, linktype=b.LINKTYPE_RAW),
    "pcapng": joined(
        LITTLE.shb(),
        LITTLE.idb(LITTLE.tsresol(9) + LITTLE.tsoffset(1), linktype=101),
        LITTLE.epb(SMALL, units=b.T0 * 10**9),
        LITTLE.block(NRB),
        LITTLE.isb_drops(ifdrop=3),
        LITTLE.spb(SMALL),
    ),
    "snoop": joined(
        sn.snoop_header(), sn.snoop_record(FRAME), sn.snoop_record(FRAME[:30])
    ),
    "erf": joined(
        *[erf.erf_record(SMALL, kind=erf.IPV4, extensions=1)] * 2,
        erf.erf_record(FRAME),
    ),
}
BITS: Sequence[int] = [*(1 << bit for bit in range(8)), 0xFF]


@pytest.mark.parametrize("name", DENSE)
def test_a_changed_byte_is_read_as_the_oracle_reads_it(name: str) -> None:
    data = DENSE[name]
    assert 150 <= len(data) <= 250
    assert assert_same(data).status == "complete"
    for at in range(len(data)):
        for bits in BITS:
            changed = data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
            found = assert_same(changed, batch_rows=8, block_bytes=1000)
            assert found.offset is None or found.offset <= len(data)
