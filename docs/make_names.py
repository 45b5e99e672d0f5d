"""Write the tables of names into docs/captures.md, from the core's own lists."""

from __future__ import annotations

from pathlib import Path

from fastflow.schema import names_of_trouble

DOCUMENT = Path(__file__).parent / "captures.md"
BEGIN, END = "<!-- names -->\n", "<!-- end of names -->"

TITLES = {
    "capture": "What ends the reading of a capture",
    "packet": "The status of a packet",
    "record": "Why a record is not counted, before its packet is looked at",
    "input": "Flags: oddities that change no verdict, counted for each capture",
}


def with_names(text: str) -> str:
    """Return the document with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "\n".join(
        f"### {TITLES[of]}\n\n| name | means | |\n|---|---|---|\n"
        + "".join(f"| `{name}` | {means} | {words} |\n" for name, means, words in names)
        for of, names in names_of_trouble().items()
    )
    return f"{before}{BEGIN}{tables}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_names(DOCUMENT.read_text()))
