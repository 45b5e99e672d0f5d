"""What `fastflow trend` and `fastflow sensors` print and draw."""

import csv
import io
import json
import re
import sys

import pytest
from click.testing import CliRunner

from fastflow.cli.sensors import command as sensors
from fastflow.cli.top import command as top
from fastflow.cli.trend import command as trend
from fastflow.errors import ConfigError
from fastflow.store import Store
from reduced import at, reduced

SENSORS = """
[tokyo-1]
country = "JP"
addresses = 4
on_air = [{ from = 2020-08-26, until = 2020-08-28 }]
"""
GAP = (
    "fastflow: sensor tokyo-1 has no data for 18 of 48 hours: "
    "2020-08-26T06:00:00Z..2020-08-27T00:00:00Z; `fastflow sensors --gaps` lists them\n"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The path of a store with two days, on the first of which hours are missing."""
    root = tmp_path_factory.mktemp("cli") / "counts"
    made = Store(root, create=True)
    signature = "8192:2-1-3:1460:8"
    for name, first, last, rows in [
        ("one", 0, 5, [{"packets": 3}, {"hour": at(5), "src": "192.0.2.2"}]),
        ("two", 24, 47, [{"hour": at(30), "packets": 7, "signature": signature}]),
    ]:
        times = [int(at(hour).timestamp()) * 1_000_000 for hour in (first, last)]
        record = {"first_packet": times[0], "last_packet": times[1]}
        made.publish([reduced(name, rows, **record)])
    (root / "sensors.toml").write_text(SENSORS)
    return str(root)


def run(command, *arguments):
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_trend_table(store):
    result = run(trend, "--store", store, "--by", "window")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["day", "8192", "1024"],
        ["2020-08-26", "0", "4", "gap"],
        ["2020-08-27", "7", "0"],
    ]
    assert result.stderr == GAP.replace("18 of 48", "18 of 31")


def test_trend_json(store):
    options = ["--by", "window", "--tz", "Asia/Tokyo", "-n", "1", "--json"]
    period = ["--period", "2020-08-26..2020-08-27", "--measure", "sources"]
    result = run(trend, "--store", store, *options, *period)
    assert json.loads(result.stdout) == [
        {"time": "2020-08-26T00:00:00+09:00", "key": "8192", "sources": 0, "gap": True},
        {"time": "2020-08-27T00:00:00+09:00", "key": "8192", "sources": 1, "gap": True},
    ]


def test_trend_json_without_a_description_of_sensors(store, tmp_path):
    made = Store(tmp_path, create=True)
    made.publish([reduced("one", [{}])])
    result = run(trend, "--store", str(tmp_path), "--by", "port", "--json")
    assert json.loads(result.stdout) == [
        {"time": "2020-08-26T00:00:00Z", "key": "445/tcp", "packets": 1, "gap": None}
    ]
    assert result.stderr == ""


def test_trend_csv(store, tmp_path):
    path = tmp_path / "x.csv"
    options = ["--store", store, "--by", "traffic", "--every", "week", "--others"]
    result = run(trend, *options, "--csv")
    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows == [
        ["time", "key", "packets", "gap"],
        ["2020-08-26T00:00:00Z", "scan", "11", "true"],
        ["2020-08-26T00:00:00Z", "all others", "0", "true"],
    ]
    run(trend, *options, "-o", str(path))
    assert path.read_text() == result.stdout


def test_per_address(store):
    options = [
        "--store",
        store,
        "--by",
        "port",
        "--per-address",
        "--period",
        "2020-08-26",
    ]
    row = json.loads(run(top, *options, "--json").stdout)[0]
    assert row["per_address_day"] == 1.0
    result = run(top, *options)
    assert "per address and day" in result.stdout
    assert result.stdout.split()[-1] == "1.00"
    row = json.loads(run(trend, *options, "--json").stdout)[0]
    assert (row["packets"], row["per_address_day"]) == (4, 1.0)
    assert run(trend, *options).stdout.split()[-2:] == ["1.00", "gap"]


def test_sensors(store):
    result = run(sensors, "--store", store, "--json", "--sensors", "JP")
    assert json.loads(result.stdout) == [
        {
            "sensor": "tokyo-1",
            "country": "JP",
            "addresses": 4,
            "hours_on_air": 31,
            "hours_covered": 13,
            "gap_hours": 18,
            "packets": 11,
            "per_address_day": 11 / (4 * 31 / 24),
        }
    ]
    result = run(sensors, "--store", store, "--gaps", "--tz", "Asia/Tokyo")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["sensor", "from", "until", "hours"],
        ["tokyo-1", "2020-08-26T15:00:00+09:00", "2020-08-27T09:00:00+09:00", "18"],
    ]


def test_sensors_tells_how_to_describe_them(store, tmp_path):
    made = Store(tmp_path, create=True)
    made.publish([reduced("one", [{}])])
    result = run(sensors, "--store", str(tmp_path))
    assert result.stdout.split()[-8:] == ["tokyo-1", "-", "-", "-", "1", "-", "1", "-"]
    assert "on_air = [{ from = 2020-04-01 }]" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def figure(store, path, *options):
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    result = run(trend, "--store", store, "--by", "window", *options, "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return path.read_bytes()


def test_trend_draws_svg(store, tmp_path):
    tz = ["--tz", "Europe/Berlin", "--every", "hour", "--where", "port=445/tcp"]
    svg = figure(store, tmp_path / "x.svg", *tz).decode()
    assert svg.startswith("<svg")
    for text in [
        "By window, whole store, port=445/tcp",
        "packets per hour",
        "hour (Europe/Berlin)",
        "grey: hours of a sensor are missing",
        "8192",
        "1024",
        # the colours of the lines, and of the gap
        "#0072B2",
        "#D55E00",
        "#D9D9D9",
    ]:
        assert text in svg


def test_trend_draws_png(store, tmp_path):
    assert figure(store, tmp_path / "x.png").startswith(b"\x89PNG\r\n")


def test_trend_draws_html_that_needs_no_network(store, tmp_path):
    html = figure(store, tmp_path / "x.html", "--measure", "sources").decode()
    assert "distinct source addresses per day" in html
    assert re.findall(r"<(?:script|link)[^>]*(?:src|href)=", html) == []
    assert 'from "http' not in html


def test_figure_without_gaps_says_nothing_of_them(store, tmp_path):
    svg = figure(store, tmp_path / "x.svg", "--period", "2020-08-27").decode()
    assert "grey" not in svg


def test_a_figure_without_its_packages_says_what_to_install(
    store, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(ConfigError, match=r"pip install 'fastflow\[report\]'"):
        run(trend, "--store", store, "--by", "port", "-o", str(tmp_path / "x.svg"))


@pytest.mark.parametrize(
    "options",
    [
        ["--json", "--csv"],
        ["--json", "-o", "x.svg"],
        ["--every", "month"],
        ["--measure", "bytes"],
        ["-n", "0"],
    ],
)
def test_trend_wrong_usage(store, options):
    assert run(trend, "--store", store, "--by", "port", *options).exit_code == 2


def test_unknown_ending_is_told_with_all_that_there_are(store, tmp_path):
    with pytest.raises(ConfigError, match=r"\.svg, \.png, \.html, \.parquet"):
        run(trend, "--store", store, "--by", "port", "-o", str(tmp_path / "x.pdf"))
