"""Contacts in the formats that others read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import tzinfo

from fastflow.complete_file import complete_file
from fastflow.contacts.csv_file import csv_lines
from fastflow.contacts.find import Contact
from fastflow.contacts.intelmq import intelmq_lines
from fastflow.contacts.stix import stix_pieces


def pieces(
    contacts: Iterable[Contact], file_format: str, zone: tzinfo
) -> Iterator[str]:
    """Yield the text of contacts as they come, in `csv`, `intelmq` or `stix`.

    Parameters
    ----------
    zone : datetime.tzinfo
        Whose clocks the hours of CSV are of; the other formats have UTC.
    """
    if file_format == "csv":
        return csv_lines(contacts, zone)
    if file_format == "intelmq":
        return intelmq_lines(contacts)
    return stix_pieces(contacts)


def json_pieces(contacts: Iterable[Contact], zone: tzinfo) -> Iterator[str]:
    """Yield one JSON document, a list with an object for each contact."""
    comma = "["
    for contact in contacts:
        yield comma + json.dumps(contact.to_row(zone), ensure_ascii=False)
        comma = ", "
    yield "[]" if comma == "[" else "]"


def write_file(texts: Iterable[str], output: str) -> None:
    """Write text to a file that appears when it is complete.

    Raises
    ------
    ConfigError
        The file cannot be made.
    """
    with complete_file(output) as file:
        for text in texts:
            file.write(text.encode())
