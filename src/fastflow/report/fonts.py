"""Fonts of pages and figures, and where those for PNG are found."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from fastflow.errors import ConfigError

_LATIN = ("system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial")
#: Before the others, so that kanji are never drawn as their Chinese shapes.
_JAPANESE = (
    "Hiragino Sans",
    "Hiragino Kaku Gothic ProN",
    "Noto Sans JP",
    "Noto Sans CJK JP",
    "BIZ UDPGothic",
    "Yu Gothic",
    "Meiryo",
    "IPAexGothic",
)
#: This package brings IPAexGothic (IPA Font License 1.0).
_FONT_PACKAGE = "matplotlib_fontja"


def family(lang: str) -> str:
    """Return the fonts of a language, the best first, as CSS names them."""
    names = (*_JAPANESE, *_LATIN) if lang == "ja" else (*_LATIN, *_JAPANESE)
    return ", ".join(f'"{name}"' if " " in name else name for name in names) + (
        ", sans-serif"
    )


def need_fonts(lang: str) -> None:
    """Raise ConfigError where a picture in this language would lack its letters."""
    register_fonts()
    if lang == "ja" and not _has_kanji():
        raise ConfigError(
            "no font on this machine has Japanese letters, which PNG needs: install "
            "one (Debian: fonts-ipaexfont), or pip install 'fastflow[fonts]'"
        )


@cache
def register_fonts() -> None:
    """Let figures be drawn with the font of a package, if it is installed.

    Fonts of the system are found without this.
    """
    import vl_convert

    # Without importing it: that would import matplotlib.
    found = importlib.util.find_spec(_FONT_PACKAGE)
    if found is not None and found.origin is not None:
        fonts = Path(found.origin).parent / "fonts"
        if fonts.is_dir():
            vl_convert.register_font_directory(str(fonts))


def _has_kanji() -> bool:
    """Draw two of them: letters that no font has look all the same."""
    return _picture("\u65e5") != _picture("\u672c")


def _picture(letter: str) -> bytes:
    import vl_convert

    families = family("ja").replace('"', "'")
    return vl_convert.svg_to_png(
        '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32">'
        f'<text x="4" y="26" font-size="24" font-family="{families}">{letter}</text>'
        "</svg>"
    )
