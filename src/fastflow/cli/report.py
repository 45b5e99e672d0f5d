"""`fastflow report`: the report of a period, ready to publish."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from fastflow.cli.common import echo_error
from fastflow.cli.holders import HolderOptions, echo_holders, holder_options
from fastflow.cli.question import (
    echo_remarks,
    selection,
    selection_options_of_either,
)

if TYPE_CHECKING:
    from fastflow.report.document import Document
    from fastflow.report.model import Report

FORMATS = ("html", "md", "json")

#: The options that do not ask a store.
_OF_ANY = {
    "findings",
    "lang",
    "notes",
    "file_format",
    "output",
    "data",
    "figures",
    "list_sections",
    "as_json",
}
_PATH: dict[str, Any] = {"type": click.Path(path_type=Path)}


@click.command("report")
@selection_options_of_either
@click.option(
    "--findings",
    **_PATH,
    metavar="FILE",
    help="What --format json wrote, and not a store: another language, format or note "
    "is a matter of seconds.",
)
@click.option(
    "--lang",
    default="en",
    show_default=True,
    metavar="LANG",
    help="The language: en, ja, or a file of words (LANG.toml) for another.",
)
@click.option(
    "--notes",
    **_PATH,
    metavar="FILE",
    help="Your own paragraphs, Markdown: what stands below `## SECTION` goes to the "
    "end of that section.",
)
@click.option(
    "--min-packets",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Sources with so many packets on a day are listed for it.",
)
@holder_options
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    help="Default: by the ending of -o; else html.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    show_default=True,
    metavar="FILE",
    help="The report; - is stdout.",
)
@click.option(
    "--data",
    **_PATH,
    metavar="DIR",
    help="Write the data of each figure and table there, as ID.csv.",
)
@click.option(
    "--figures",
    **_PATH,
    metavar="DIR",
    help="Write each figure there, as ID.svg and ID.png.",
)
@click.option(
    "--list-sections",
    is_flag=True,
    help="Print the sections that notes can name, and no report.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document: --format json."
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    findings: Path | None,
    lang: str,
    notes: Path | None,
    min_packets: int,
    file_format: str | None,
    output: str,
    data: Path | None,
    figures: Path | None,
    list_sections: bool,
    as_json: bool,
    holder_options: HolderOptions,
    **selected: Any,
) -> None:
    """Write the report of a period: one file to check, edit a little, and publish.

    Tables and courses of the first ports and source regions, what sets each region
    apart, notable phenomena with their hosts and header fields, backscatter, sensors,
    tools, and by what method. --sensors says whose packets it is about, those of a
    country by sensors.toml; all other sensors serve comparison. The period before gives
    the previous ranks.

    \b
    fastflow report --store counts/ --period 2020-Q3 --tz Asia/Tokyo \\
        --sensors JP --lang ja --holders asn.mmdb -o report.html
    fastflow report --store counts/ --period 2020-Q3 -o q3.json
    fastflow report --findings q3.json --list-sections
    fastflow report --findings q3.json --notes notes.md -o report.html
    """  # noqa: D301
    file_format = _format(file_format, output, as_json)
    _check(ctx, findings is None)
    words = _words(lang)
    own = None if notes is None else _notes(notes)
    if file_format == "html" or figures:
        from fastflow.charts import need_packages

        need_packages()
    report = (
        _build(min_packets, holder_options, selected)
        if findings is None
        else _read(findings)
    )
    document = _document(report, words, own, notes)
    if list_sections:
        _print_sections(document)
        return
    place = None if figures is None else _seen_from(figures, output)
    _write(_text(report, document, file_format, place), output)
    if data is not None:
        from fastflow.report.data_files import write_data

        write_data(document, data)
    if figures is not None:
        from fastflow.report.charts import write_figures

        write_figures(document, figures)


def _check(ctx: click.Context, is_of_store: bool) -> None:
    """Raise UsageError where options of a store are missing, or do not apply."""
    if is_of_store:
        if not ctx.params["store_url"]:
            raise click.UsageError("name the --store, or --findings FILE")
        if not ctx.params["period"]:
            raise click.UsageError("name the --period, as 2020-Q3")
        return
    for option in ctx.command.params:
        is_given = ctx.get_parameter_source(option.name or "")
        if is_given is ParameterSource.COMMANDLINE and option.name not in _OF_ANY:
            raise click.UsageError(
                f"{option.opts[0]} is a question to a store, which --findings answered"
            )


def _build(
    min_packets: int, holder_options: HolderOptions, selected: dict[str, Any]
) -> Report:
    from fastflow.report.model import build

    chosen = selection(**selected)
    holders = holder_options.open()
    # With nobody to ask, holders are "not looked up", and not "unknown".
    asked = holders if holder_options.are_given else None
    report = build(chosen, min_packets=min_packets, holders=asked)
    echo_remarks(chosen)
    echo_holders(holders)
    return report


def _read(findings: Path) -> Report:
    from fastflow.report.model import Report

    return Report.read(findings)


def _format(file_format: str | None, output: str, as_json: bool) -> str:
    """Return the format that is asked for, by an option or by the file's name."""
    if as_json:
        if file_format not in (None, "json"):
            raise click.UsageError(
                f"--json and --format {file_format} exclude each other"
            )
        return "json"
    if file_format is not None:
        return file_format
    if output == "-":
        return "html"
    from fastflow.complete_file import format_by_ending

    return format_by_ending(output, FORMATS)


def _words(lang: str) -> Any:
    from fastflow.report.words import Words

    return Words.load(lang)


def _notes(path: Path) -> dict[str, str]:
    from fastflow.report.notes import read_notes

    return read_notes(path)


def _document(
    report: Report, words: Any, own: dict[str, str] | None, notes: Path | None
) -> Document:
    from fastflow.report.compose import compose
    from fastflow.report.notes import with_notes

    document = compose(report, words)
    return document if own is None else with_notes(document, own, str(notes))


def _seen_from(figures: Path, output: str) -> str:
    """Return where figures lie, as a link in the report has it."""
    start = Path.cwd() if output == "-" else Path(output).absolute().parent
    return Path(os.path.relpath(figures.absolute(), start)).as_posix()


def _text(
    report: Report, document: Document, file_format: str, figures: str | None
) -> str:
    if file_format == "json":
        return json.dumps(report.to_json(), ensure_ascii=False, indent=1) + "\n"
    if file_format == "md":
        from fastflow.report.markdown import to_markdown

        return to_markdown(document, figures)
    from fastflow.report.html import render

    page: str = render(document)
    return page


def _write(text: str, output: str) -> None:
    if output == "-":
        sys.stdout.write(text)
        return
    from fastflow.complete_file import complete_file

    with complete_file(output) as file:
        file.write(text.encode())
    echo_error(f"{output}: written, {len(text.encode()):,} bytes")


def _print_sections(document: Document) -> None:
    for section in document.walk():
        click.echo(f"{section.id}\t{section.title}")
