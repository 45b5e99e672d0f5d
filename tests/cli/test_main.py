"""What all commands have in common: help, version, errors, exit codes, closed pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import builders as b
import fastflow
from fastflow.cli.main import COMMANDS
from fastflow.cli.store import COMMANDS as STORE_COMMANDS

GROUPS = {
    "geo": ("show", "build", "lookup"),
    "store": tuple(STORE_COMMANDS),
    "synth": ("load",),
}
PATHS = [
    (),
    *[(name,) for name in COMMANDS],
    *[(group, name) for group, names in GROUPS.items() for name in names],
]


def run(
    *args: str | Path, stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fastflow", *map(str, args)],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "a.pcap"
    frames = [b.ethernet(b.ipv4(b.tcp(dst_port=port))) for port in range(1, 4)]
    path.write_bytes(b.capture(*frames))
    return path


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help(path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith("Usage: " + " ".join(("fastflow", *path)))
    assert done.stderr == b""


def test_help_lists_every_command() -> None:
    text = run("--help").stdout.decode()
    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    import click

    from fastflow.cli.main import cli

    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    commands: list[click.Command | None] = [command]
    if isinstance(command, click.Group):
        names = command.list_commands(context)
        commands += [command.get_command(context, one) for one in names]
    for one in commands:
        assert one is not None
        assert one.help, f"{one.name} has no help"
        for option in one.params:
            if isinstance(option, click.Option):
                assert option.help, f"{one.name}: {option.opts} has no help"
                assert option.help.endswith((".", ").")), option.help


def test_no_command_shows_the_help() -> None:
    done = run()
    assert b"Commands:" in done.stdout + done.stderr
    assert done.returncode in (0, 2)


def test_version() -> None:
    done = run("--version")
    assert done.stdout.decode() == f"fastflow, version {fastflow.__version__}\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("--nonsense",),
        ("scan",),
        ("top", "--by", "port"),
        ("top", "--store", "x", "--by", "nonsense"),
        ("reduce", "x.pcap"),
        ("geo", "nonsense"),
        ("store", "nonsense"),
        ("store", "export", "--store", "x"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(args: tuple[str, ...]) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Error: " in done.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("scan", "missing.pcap"), 2),
        (("info", "missing.pcap"), 2),
        (("scan", "{capture}", "--columns", "ts,nonsense"), 2),
        (("reduce", "missing.pcap", "--store", "{tmp}/s", "--sensor", "a"), 2),
        (("top", "--store", "{tmp}/none", "--by", "port"), 1),
        (("query", "--store", "{tmp}/none", "select 1"), 1),
    ],
    ids=lambda value: value if isinstance(value, int) else value[0],
)
def test_an_error_is_one_line_without_a_traceback(
    args: tuple[str, ...], code: int, capture: Path
) -> None:
    done = run(*(text.format(capture=capture, tmp=capture.parent) for text in args))
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert done.stdout == b""
    assert text.startswith("fastflow: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")


def test_debug_shows_a_traceback() -> None:
    done = run("--debug", "scan", "missing.pcap")
    assert b"Traceback" in done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize(
    "args",
    [
        ("scan", "{capture}", "--format", "csv"),
        ("scan", "{capture}", "--format", "ndjson"),
        ("scan", "{capture}", "--format", "arrow"),
        ("info", "{capture}"),
        ("fields",),
        ("fields", "--json"),
    ],
    ids=lambda args: " ".join(args).replace("{capture} ", ""),
)
def test_a_closed_pipe_ends_quietly(args: tuple[str, ...], capture: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fastflow"]
            + [text.format(capture=capture) for text in args],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 0


def test_stdin_is_a_capture(capture: Path) -> None:
    done = run(
        "scan", "-", "--columns", "dst_port", "--format", "csv",
        stdin=capture.read_bytes(),
    )  # fmt: skip
    assert done.stdout.decode().split() == ["dst_port", "1", "2", "3"]
    assert done.returncode == 0


def test_installed_command_is_the_module(capture: Path) -> None:
    command = Path(sys.executable).with_name("fastflow")
    assert command.exists(), "fastflow is not installed"
    args = ["scan", str(capture), "--columns", "dst_port", "--format", "csv"]
    done = subprocess.run(
        [str(command), *args], stdin=subprocess.DEVNULL, capture_output=True
    )
    assert done.stdout == run(*args).stdout


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--help",),
        ("--version",),
        ("top", "--help"),
        ("store", "export", "--help"),
    ],
)
def test_help_loads_neither_arrow_nor_numpy(args: tuple[str, ...]) -> None:
    code = (
        "import sys, fastflow.cli.main as m\n"
        f"sys.argv = ['fastflow', *{args!r}]\n"
        "try:\n    m.main()\n"
        "finally:\n"
        "    heavy = {'pyarrow', 'numpy', 'duckdb', 'deltalake', 'rich'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.stderr.decode().splitlines()[-1] == "[]"
