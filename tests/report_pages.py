"""Documents to be opened in a browser: made-up ones, and the reference quarter's."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fastflow.holders.holders import Holders
from fastflow.report.compose import compose
from fastflow.report.document import Document
from fastflow.report.model import Report
from fastflow.report.words import Words
from quarter import SCALE, make_and_reduce
from report_documents import DOCUMENTS


@cache
def _report() -> Report:
    with TemporaryDirectory() as directory:
        quarter = make_and_reduce(Path(directory), SCALE)
        return quarter.store.report(
            "2020-Q3",
            tz="Asia/Tokyo",
            sensors=["JP"],
            sensors_file=quarter.sensors_file,
            holders=Holders([quarter.captures / "holders.csv"]),
        )


@cache
def quarter(lang: str) -> Document:
    return compose(_report(), Words.load(lang))


PAGES = {**DOCUMENTS, "quarter-en": (quarter, "en"), "quarter-ja": (quarter, "ja")}
