"""Types of the compiled rules; see native/fastflow/_tool.pyx."""

from collections.abc import Sequence
from typing import final

FIELDS: tuple[tuple[str, int], ...]
MAX_RULES: int
MAX_TERMS: int
MAX_TESTS: int
MAX_TOOLS: int

@final
class Rules:
    """Rules in the order in which they are asked."""

    def __new__(
        cls,
        rules: Sequence[tuple[int, int, int, Sequence[tuple[Sequence[int], int, int]]]],
    ) -> Rules: ...
