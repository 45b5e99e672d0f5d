"""Addresses as text: RFC 5952, IPv4 dotted.

IPv4 is stored as ::ffff:a.b.c.d, 16 bytes in network order. A native IPv6 packet may
carry an address of the same prefix; only `ip_version` tells the two apart.
"""

from __future__ import annotations

import ipaddress
import socket

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

ADDRESS_BYTES = 16
MAPPED_PREFIX = bytes(10) + b"\xff\xff"

#: Rows formatted at a time: bounds the scratch memory to some 40 MB.
_CHUNK_ROWS = 1 << 20

_Bytes = npt.NDArray[np.uint8]
_Bools = npt.NDArray[np.bool_]


def to_text(packed: bytes, ip_version: int | None = None) -> str:
    """Return one address as text.

    Parameters
    ----------
    packed : bytes, length 16
        Network order; IPv4 as ::ffff:a.b.c.d.
    ip_version : int or None
        4 or 6; None: 4 where the address lies in ::ffff:0:0/96.
    """
    if len(packed) != ADDRESS_BYTES:
        raise ValueError(f"an address has 16 bytes, not {len(packed)}")
    mapped = packed.startswith(MAPPED_PREFIX)
    if ip_version == 4 or (ip_version is None and mapped):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    if mapped:
        # RFC 5952 section 5; Python writes it so from 3.13 on only.
        return "::ffff:" + socket.inet_ntop(socket.AF_INET, packed[12:])
    if packed.startswith(bytes(12)):
        # The C library dots the deprecated ::/96 too; RFC 5952 does not.
        return str(ipaddress.IPv6Address(packed))
    return socket.inet_ntop(socket.AF_INET6, packed)


def last_words(packed: pa.Array) -> npt.NDArray[np.uint32]:
    """Return the last four bytes of each address as a number: IPv4 as a whole.

    Those of an IPv4-mapped address are the IPv4 address (RFC 4291, 2.5.5.2).
    """
    fixed = packed.cast(pa.binary(ADDRESS_BYTES))
    words = np.frombuffer(fixed.buffers()[1], ">u4").reshape(-1, ADDRESS_BYTES // 4)
    return words[fixed.offset :][: len(fixed), -1].astype(np.uint32)


def from_text(text: str) -> tuple[bytes, int]:
    """Return an address's 16 bytes and its IP version.

    Raises
    ------
    ValueError
        The text is no address.
    """
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return MAPPED_PREFIX + address.packed, 4
    return address.packed, 6


def column_to_text(
    array: pa.Array, ip_versions: pa.Array | None = None
) -> pa.StringArray:
    """Return a column of addresses as text; null stays null.

    Parameters
    ----------
    array : pyarrow.Array of 16-byte binary
        Network order; IPv4 as ::ffff:a.b.c.d.
    ip_versions : pyarrow.Array of integers or None
        4 or 6 of each row; None, or null in a row: as in `to_text`.

    Raises
    ------
    pyarrow.ArrowInvalid
        A value has not 16 bytes.
    """
    if not pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.binary(ADDRESS_BYTES))
    chunks = [
        _chunk_to_text(
            array.slice(start, _CHUNK_ROWS),
            None if ip_versions is None else ip_versions.slice(start, _CHUNK_ROWS),
        )
        for start in range(0, len(array), _CHUNK_ROWS)
    ]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


def _chunk_to_text(array: pa.Array, ip_versions: pa.Array | None) -> pa.StringArray:
    packed = _packed(array)
    valid = ~np.asarray(array.is_null())
    is_v4 = valid & _is_v4(packed, ip_versions)
    text = _v4_text(packed[:, 12:], is_v4)
    is_v6 = valid & ~is_v4
    if not is_v6.any():
        return text
    # Sources repeat: each distinct IPv6 address is formatted once.
    distinct = array.filter(pa.array(is_v6)).dictionary_encode()
    words = [to_text(value, 6) for value in distinct.dictionary.to_pylist()]
    replacement = pa.array(words, pa.string()).take(distinct.indices)
    return pc.replace_with_mask(text, pa.array(is_v6), replacement)


def _packed(array: pa.Array) -> _Bytes:
    """Return the values as an (n, 16) view; a null row holds anything."""
    data = array.buffers()[1]
    if data is None:
        return np.zeros((len(array), ADDRESS_BYTES), np.uint8)
    flat = np.frombuffer(data, np.uint8)
    rows = flat[: len(flat) // ADDRESS_BYTES * ADDRESS_BYTES].reshape(-1, ADDRESS_BYTES)
    return rows[array.offset : array.offset + len(array)]


def _is_v4(packed: _Bytes, ip_versions: pa.Array | None) -> _Bools:
    mapped: _Bools = (packed[:, :12] == np.frombuffer(MAPPED_PREFIX, np.uint8)).all(1)
    if ip_versions is None:
        return mapped
    unknown = np.asarray(ip_versions.is_null())
    version = np.asarray(ip_versions.fill_null(0))
    return np.where(unknown, mapped, version == 4)


def _octet_text() -> tuple[_Bytes, _Bools]:
    """Return every octet as four characters `255.`, and which of them it uses."""
    text = np.frombuffer("".join(f"{n:<3}." for n in range(256)).encode(), np.uint8)
    characters = text.reshape(256, 4)
    return characters, characters != ord(" ")


_OCTET_CHARACTERS, _OCTET_USED = _octet_text()


def _v4_text(octets: _Bytes, is_v4: _Bools) -> pa.StringArray:
    """Format all rows at once; a row that is not IPv4 becomes null."""
    characters = _OCTET_CHARACTERS[octets].reshape(-1, 16)
    used = _OCTET_USED[octets].reshape(-1, 16)
    used[:, 15] = False  # the point after the last octet
    used &= is_v4[:, np.newaxis]
    offsets = np.zeros(len(octets) + 1, np.int32)
    np.cumsum(used.sum(1), out=offsets[1:])
    return pa.StringArray.from_buffers(
        len(octets),
        pa.py_buffer(offsets),
        pa.py_buffer(characters[used]),
        pa.array(is_v4).buffers()[1],
    )
