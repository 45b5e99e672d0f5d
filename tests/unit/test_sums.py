"""Rows added up to cells, and cells to series: the compiled sums beside slow ones."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastflow import _sums
from fastflow.analysis.events.codes import encoded

#: A number below this one stands for a value: with two columns and some hours, keys
#: have nearly 64 bits.
MANY = 2**30
#: Up to which sums of floats were exact; those of integers go on.
EXACT = 2**53
ALL = 2**32 - 1

numbers = st.one_of(st.integers(0, 2), st.integers(0, MANY - 1), st.just(MANY - 1))
bits = st.one_of(st.just(ALL), st.integers(0, 7), st.just(1 << 31))
counts = st.one_of(st.integers(1, 20), st.integers(0, EXACT))


def small(values: Any) -> npt.NDArray[np.int32]:
    return np.array(values, np.int32)


def whole(values: Any) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1))))
def test_codes_number_values_as_they_are_met(given: list[int]) -> None:
    values, places = _sums.codes(whole(given))
    assert values.tolist() == list(dict.fromkeys(given))
    assert values[places].tolist() == given


def test_many_values_are_found_again() -> None:
    """More than there is room for at first, whatever the seed."""
    numbers = np.arange(200_000) * 2**40
    for _ in range(2):
        values, places = _sums.codes(np.tile(numbers, 2))
        np.testing.assert_array_equal(values, numbers)
        np.testing.assert_array_equal(places, np.tile(np.arange(200_000), 2))


number_columns = st.sampled_from([pa.int16(), pa.int32(), pa.int64()])
text_columns = st.sampled_from([pa.string(), pa.dictionary(pa.int32(), pa.string())])


@given(st.data(), st.one_of(number_columns, text_columns))
def test_values_of_a_column_come_as_places(
    data: st.DataObject, kind: pa.DataType
) -> None:
    some = (
        st.integers(-3, 3) if pa.types.is_integer(kind) else st.text("ab", max_size=2)
    )
    piece = st.lists(st.one_of(st.none(), some), max_size=9)
    pieces = data.draw(st.lists(piece, max_size=3))
    column = pa.chunked_array([pa.array(one, kind) for one in pieces], kind)
    values, places = encoded(column)
    rows = column.to_pylist()
    assert values.to_pylist() == list(
        dict.fromkeys(one for one in rows if one is not None)
    )
    assert [[*values.to_pylist(), None][place] for place in places] == rows
    assert places.dtype == np.int32


@st.composite
def rows_of_columns(draw: st.DrawFn) -> dict[str, Any]:
    """Return rows: places in the tables of some columns, an hour, packets, sources."""
    n_hours = draw(st.sampled_from([1, 2, 15]))
    table = st.lists(st.tuples(numbers, bits), min_size=1, max_size=5)
    tables = draw(st.lists(table, max_size=2))
    places = [st.integers(0, len(one) - 1) for one in tables]
    row = st.tuples(st.tuples(*places), st.integers(0, n_hours - 1), counts, counts)
    return {
        "n_hours": n_hours,
        "tables": tables,
        "rows": draw(st.lists(row, max_size=60)),
    }


def slow_cells(given: dict[str, Any]) -> dict[Any, tuple[int, int]]:
    """Return packets and sources of rows by numbers and hour."""
    found: dict[Any, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for places, hour, packets, sources in given["rows"]:
        mine = [one[p] for one, p in zip(given["tables"], places, strict=True)]
        common = ALL
        for _, rollups in mine:
            common &= rollups
        if common:
            key = (*(number for number, _ in mine), hour)
            before = found[key]
            found[key] = (before[0] + packets, before[1] + sources)
    return dict(found)


def fast_cells(given: dict[str, Any]) -> Any:
    columns = [
        (
            small([places[n] for places, *_ in given["rows"]]),
            small([number for number, _ in table]),
            np.array([rollups for _, rollups in table], np.uint32),
            MANY,
        )
        for n, table in enumerate(given["tables"])
    ]
    return _sums.cells(
        columns,
        small([hour for _, hour, _, _ in given["rows"]]),
        given["n_hours"],
        whole([packets for _, _, packets, _ in given["rows"]]),
        whole([sources for *_, sources in given["rows"]]),
    )


@settings(deadline=None)
@given(rows_of_columns())
@example({"n_hours": 1, "tables": [], "rows": []})
@example({"n_hours": 1, "tables": [], "rows": [((), 0, 1, 1)] * 100})
@example({"n_hours": 1, "tables": [[(0, 0)]], "rows": [((0,), 0, 1, 1)]})
def test_cells_are_the_sums_of_rows_that_agree(given: dict[str, Any]) -> None:
    rows, both = fast_cells(given)
    expected = slow_cells(given)
    found = {}
    for row, sums in zip(rows.tolist(), both.tolist(), strict=True):
        places, hour, _, _ = given["rows"][row]
        mine = zip(given["tables"], places, strict=True)
        found[(*(one[place][0] for one, place in mine), hour)] = tuple(sums)
    assert found == expected
    assert len(rows) == len(expected)
    hours = [given["rows"][row][1] for row in rows.tolist()]
    assert hours == sorted(hours)


def test_many_cells_are_found_again() -> None:
    """More than there is room for at first, whatever the seed; each in two rows."""
    n = 150_000
    places = np.arange(n, dtype=np.int32)
    bits_of_all = np.full(n, ALL, np.uint32)
    columns = [(np.tile(places, 2), places, bits_of_all, n)]
    hours = np.tile(places % 7, 2)
    ones = np.ones(2 * n, np.int64)
    for _ in range(2):
        rows, sums = _sums.cells(columns, hours, 7, ones, 3 * ones)
        expected = np.argsort(places % 7, kind="stable")
        np.testing.assert_array_equal(rows, expected)
        assert (sums == (2, 6)).all()


@settings(deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
def test_packets_are_added_up_by_block(
    data: st.DataObject, n_hours: int, block: int, n_numbers: int
) -> None:
    some = st.integers(0, n_numbers - 1)
    table = data.draw(st.lists(some, min_size=1, max_size=9))
    row = st.tuples(st.integers(0, len(table) - 1), st.integers(0, n_hours - 1), counts)
    rows = data.draw(st.lists(row, max_size=40))
    sums: Counter[tuple[int, int]] = Counter()
    for place, hour, packets in rows:
        sums[hour // block, table[place]] += packets
    places, hours, packets = zip(*rows, strict=True) if rows else ((), (), ())
    found = _sums.by_block(
        *(small(places), small(table), n_numbers),
        *(small(hours), n_hours, block, whole(packets)),
    )
    assert found.shape == (math.ceil(n_hours / block), n_numbers)
    assert {at: n for at, n in np.ndenumerate(found) if n} == +sums


#: Hour, packets, sources; slices of two roll-ups and a third that is wider than both.
cells = st.lists(
    st.tuples(
        *(st.integers(0, 5), counts, counts),
        *(st.integers(0, 3), st.integers(0, MANY), st.integers(0, 1)),
    ),
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


def slow_series(
    rows: list[tuple[int, ...]], n_digits: int, least_in_hour: float, least: float
) -> dict[int, dict[int, tuple[int, int]]]:
    """Return packets and sources by code and hour, of slices with enough packets."""
    found: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for hour, packets, sources, a, b, wider in rows:
        digits = (a, b)[:n_digits]
        if all(digits) and wider:
            code = {0: 0, 1: a - 1, 2: (a - 1) * MANY + b - 1}[n_digits]
            before = found[code].get(hour, (0, 0))
            found[code][hour] = (before[0] + packets, before[1] + sources)
    return {
        code: hours
        for code, hours in sorted(found.items())
        if max(packets for packets, _ in hours.values()) >= least_in_hour
        or sum(packets for packets, _ in hours.values()) >= least
    }


@settings(deadline=None)
@given(
    cells,
    st.integers(0, 2),
    st.sampled_from([0.0, 12.0, 40.5, float(EXACT)]),
    st.sampled_from([0.0, 60.25, math.inf]),
)
@example([(0, EXACT, EXACT, 1, MANY, 1)] * 200, 2, float(EXACT), math.inf)
def test_series_are_the_sums_of_cells(
    rows: list[tuple[int, ...]], n_digits: int, least_in_hour: float, least: float
) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * 6
    both = whole(columns[1:3]).T.copy()
    digits = [(small(columns[3]), 3), (small(columns[4]), MANY)][:n_digits]
    slices = _sums.Slices(small(columns[0]), both)
    expected = slow_series(rows, n_digits, least_in_hour, least)
    for _ in range(2):  # scratch is used again
        codes, lengths, *series, of_cell = slices.find(
            digits, [small(columns[5])], least_in_hour, least
        )
        assert codes.tolist() == list(expected)
        assert lengths.tolist() == [len(of_hours) for of_hours in expected.values()]
        assert [
            tuple(one) for one in zip(*(c.tolist() for c in series), strict=True)
        ] == [
            (hour, *sums)
            for of_hours in expected.values()
            for hour, sums in sorted(of_hours.items())
        ]
        for number, row in zip(of_cell.tolist(), rows, strict=True):
            mine = slow_series([row], n_digits, 0.0, 0.0)
            kept = [code for code in mine if code in expected]
            assert ([codes[number - 1]] if number else []) == kept


def test_what_lies_outside_of_a_table_is_refused() -> None:
    two, ones, both = small([0, 1]), whole([1, 1]), whole([[1, 1], [1, 1]])
    all_bits = np.full(2, ALL, np.uint32)

    def cells_of(
        places: Any = two, numbers: Any = two, n: int = 2, hours: Any = two
    ) -> None:
        _sums.cells([(places, numbers, all_bits, n)], hours, 2, ones, ones)

    cells_of()
    for wrong in ([0, 2], [-1, 0], [0, -(2**31)], [2**31 - 1, 0]):
        with pytest.raises(ValueError, match="places"):
            cells_of(places=small(wrong))
        with pytest.raises(ValueError, match="numbers"):
            cells_of(numbers=small(wrong))
        with pytest.raises(ValueError, match="hours"):
            cells_of(hours=small(wrong))
        with pytest.raises(ValueError, match="places"):
            _sums.by_block(small(wrong), two, 2, two, 2, 1, ones)
    with pytest.raises(ValueError, match="length"):
        cells_of(places=small([0]))
    with pytest.raises(ValueError, match="length"):
        _sums.Slices(two, both[:1])
    with pytest.raises(ValueError, match="two sums"):
        _sums.Slices(two, both[:, :1].copy())
    with pytest.raises(ValueError, match="length"):
        _sums.Slices(two, both).find([], [small([0])], 0.0, 0.0)
    with pytest.raises(ValueError, match="length"):
        _sums.by_block(two, two, 2, small([0]), 2, 1, ones)
    with pytest.raises(ValueError, match="a length"):
        _sums.by_block(two, two, 2, two, 2, 0, ones)


def test_too_many_columns_and_codes_are_refused() -> None:
    two, ones, both = small([0, 1]), whole([1, 1]), whole([[1, 1], [1, 1]])
    column = two, two, np.full(2, ALL, np.uint32)
    with pytest.raises(ValueError, match="64 bits"):
        _sums.cells([(*column, 2**31 - 1)] * 3, two, 2, ones, ones)
    with pytest.raises(ValueError, match="too many columns"):
        _sums.cells([(*column, 2)] * 9, two, 2, ones, ones)
    slices = _sums.Slices(two, both)
    with pytest.raises(ValueError, match="64 bits"):
        slices.find([(two, 2**31 - 2)] * 3, [], 0.0, 0.0)
    with pytest.raises(ValueError, match="too many columns"):
        slices.find([], [two] * 9, 0.0, 0.0)
