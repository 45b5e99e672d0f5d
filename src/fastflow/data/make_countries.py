"""Make countries.csv from CLDR, which the PyPI package babel carries.

pip install babel; python src/fastflow/data/make_countries.py
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import csv
from pathlib import Path

import babel
from babel import Locale
from babel.core import get_cldr_version

HEADER = """\
# Names of countries and territories by ISO 3166-1 alpha-2 code. Source: Unicode CLDR
# {cldr}, as carried in babel {babel}; Copyright Unicode, Inc., Unicode License V3,
# https://www.unicode.org/license.txt; some names shortened, registries' codes added.
# Made by make_countries.py; do not edit.
"""

#: CLDR's regions that are no countries.
NOT_COUNTRIES = {"EZ", "QO", "UN", "XA", "XB"}

#: Shorter English names, and codes that address registries and country tables use.
ENGLISH = {
    "A1": "Anonymous proxy",
    "A2": "Satellite provider",
    "AN": "Netherlands Antilles (former)",
    "AP": "Asia-Pacific (unspecified)",
    "EU": "Europe (unspecified)",
    "HK": "Hong Kong",
    "MM": "Myanmar",
    "MO": "Macao",
    "O1": "Other country",
    "T1": "Tor network",
    "ZZ": "Unknown",
}

#: The names that Japanese reports use where CLDR is longer or more formal.
JAPANESE = {
    "A1": "匿名プロキシー",
    "A2": "衛星通信事業者",
    "AN": "旧オランダ領アンティル",
    "AP": "アジア太平洋 (国不明)",
    "CD": "コンゴ民主共和国",
    "CG": "コンゴ共和国",
    "EU": "欧州 (国不明)",
    "GB": "英国",
    "HK": "香港",
    "MM": "ミャンマー",
    "MO": "マカオ",
    "O1": "その他の国",
    "T1": "Torネットワーク",
    "US": "米国",
    "ZZ": "不明",
}


def names(language: str, own: dict[str, str]) -> dict[str, str]:
    """Return code -> name: CLDR's territories, changed by our own names."""
    territories = Locale(language).territories
    countries = {
        code: name
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES
    }
    return countries | own


def main() -> None:
    """Write countries.csv beside this script."""
    english, japanese = names("en", ENGLISH), names("ja", JAPANESE)
    codes = sorted(english.keys() & japanese.keys())
    codes = sorted(english.keys() & japanese.keys())
    target = Path(__file__).with_name("countries.csv")
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER.format(cldr=get_cldr_version(), babel=babel.__version__))
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["code", "en", "ja"])
        rows.writerows([code, english[code], japanese[code]] for code in codes)


if __name__ == "__main__":
    main()
