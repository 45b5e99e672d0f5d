"""Files by their endings, which are there when they are complete, and not before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastflow.errors import ConfigError, FastflowError


def format_by_ending(output: str, formats: Sequence[str]) -> str:
    """Return the format that a file's name ends with.

    Raises
    ------
    ConfigError
        It is none of these.
    """
    ending = Path(output).suffix.lstrip(".").lower()
    if ending not in formats:
        names = ", ".join(f".{name}" for name in formats)
        raise ConfigError(f"{output}: no format has this ending; there are {names}")
    return ending


@contextmanager
def complete_file(output: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file under a hidden name, which it leaves when all went well.

    Raises
    ------
    ConfigError
        The file cannot be made.
    FastflowError
        It cannot be written to its end; nothing stays of it.
    """
    path = Path(output)
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        file = hidden.open("wb")
    except OSError as error:
        raise ConfigError(f"{output}: cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
        hidden.replace(path)
    except OSError as error:
        raise FastflowError(
            f"{output}: cannot be written ({error.strerror or error}); "
            "is there room, and is it no directory?"
        ) from error
    finally:
        hidden.unlink(missing_ok=True)
