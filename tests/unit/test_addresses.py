"""Addresses as text agree with `ipaddress`, one by one and as a column."""

import ipaddress

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastflow.addresses import MAPPED_PREFIX, column_to_text, from_text, to_text

V4 = st.binary(min_size=4, max_size=4).map(lambda octets: MAPPED_PREFIX + octets)
# Zero bytes are frequent, so that runs of them are compressed in every place.
V6 = st.lists(st.sampled_from([0, 0, 0, 1, 16, 255]), min_size=16, max_size=16).map(
    bytes
)
ADDRESS = V4 | V6 | st.binary(min_size=16, max_size=16)


def oracle(packed: bytes, ip_version: int | None) -> str:
    address = ipaddress.IPv6Address(packed)
    if ip_version == 4:
        return str(ipaddress.IPv4Address(packed[12:]))
    if address.ipv4_mapped is not None:
        dotted = str(address.ipv4_mapped)
        return dotted if ip_version is None else f"::ffff:{dotted}"
    return str(address)


@given(ADDRESS)
@example(bytes(16))
@example(bytes(15) + b"\1")
@example(bytes(12) + b"\1\2\3\4")
@example(bytes.fromhex("20010db8000000010001000100010001"))
def test_one_address(packed):
    for ip_version in (None, 6):
        assert to_text(packed, ip_version) == oracle(packed, ip_version)
    if packed.startswith(MAPPED_PREFIX):
        assert to_text(packed, 4) == oracle(packed, 4)


@given(ADDRESS)
def test_text_leads_back(packed):
    ip_version = 4 if packed.startswith(MAPPED_PREFIX) else 6
    assert from_text(to_text(packed, ip_version)) == (packed, ip_version)


@given(
    st.lists(st.tuples(st.none() | ADDRESS, st.sampled_from([4, 6, None]))),
    st.integers(0, 5),
    st.sampled_from([pa.binary(16), pa.binary()]),
)
def test_column_is_its_addresses(rows, start, kind):
    rows = [
        (packed, version if packed and packed.startswith(MAPPED_PREFIX) else 6)
        for packed, version in rows
    ]
    packed = pa.array([row[0] for row in rows], kind).slice(start)
    versions = pa.array([row[1] for row in rows], pa.uint8()).slice(start)
    text = column_to_text(packed, versions)
    text.validate(full=True)
    assert text.to_pylist() == [
        None if value is None else oracle(value, version)
        for value, version in rows[start:]
    ]
    assert column_to_text(packed).to_pylist() == [
        None if value is None else oracle(value, None) for value, _ in rows[start:]
    ]


def test_wrong_length_is_refused():
    with pytest.raises(ValueError, match="16 bytes, not 4"):
        to_text(b"\1\2\3\4")
    with pytest.raises(pa.ArrowInvalid):
        column_to_text(pa.array([b"\1\2\3\4"]))


def test_long_column_is_cut_without_a_seam(monkeypatch):
    monkeypatch.setattr("fastflow.addresses._CHUNK_ROWS", 3)
    addresses = [MAPPED_PREFIX + bytes([n, 0, 10, 255]) for n in range(0, 256, 25)]
    expected = [f"{n}.0.10.255" for n in range(0, 256, 25)]
    assert column_to_text(pa.array(addresses)).to_pylist() == expected
    assert column_to_text(pa.array([], pa.binary(16))).to_pylist() == []
