"""`fastflow fields`: every column, and every name of something wrong."""

from __future__ import annotations

from typing import Any

import click

from fastflow.cli.common import json_option, one_of, print_json, print_table


@click.command("fields")
@click.option(
    "--reasons",
    is_flag=True,
    help="List instead what a file's or a packet's status, reason or flag can be.",
)
@click.option(
    "--tools",
    is_flag=True,
    help="List instead how scanning tools are told: formulas, since when, sources.",
)
@json_option
def command(reasons: bool, tools: bool, as_json: bool) -> None:
    """List every packet column: name, Arrow type, unit, source.

    Columns marked `by name` are left out of a scan unless --columns names them.
    """
    one_of({"--reasons": reasons, "--tools": tools})
    rows = _reasons() if reasons else _tools() if tools else _fields()
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


def _fields() -> list[dict[str, str]]:
    from fastflow.schema import COUNTRY, FIELDS, packet_schema

    schema = packet_schema((*FIELDS, COUNTRY.name))
    rows = [
        {
            "name": name,
            "type": str(schema.field(name).type),
            "null": "never" if not schema.field(name).nullable else "if absent",
            "scan": "by name" if field["derived"] else "always",
            "unit": field["unit"],
            "source": field["source"],
        }
        for name, field in FIELDS.items()
    ]
    country = {
        "name": COUNTRY.name,
        "type": str(COUNTRY.type),
        "null": "if absent",
        "scan": "by name",
        "unit": "ISO 3166-1 alpha-2 code of the source",
        "source": "fastflow geo show",
    }
    return [*rows, country]


def _tools() -> list[dict[str, Any]]:
    from fastflow.tools import describe, known_tools

    return list(describe(known_tools()))


def _reasons() -> list[dict[str, str]]:
    from fastflow.schema import names_of_trouble

    return [
        {"name": name, "of": of, "means": means, "text": text}
        for of, names in names_of_trouble().items()
        for name, means, text in names
    ]
