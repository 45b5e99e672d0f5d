"""What the text of a filter expression tells: where it goes wrong, whom it names."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

#: Compiles a text; returns libpcap's message, or nothing.
ErrorOf = Callable[[str], str]

# --- where an expression goes wrong -------------------------------------------

_TOKEN = re.compile(r"\\?[\w.-]+(?::+[\w.-]*)*|::[\w:.]*|[<>=!]=|<<|>>|&&|\|\||\S")

#: What makes a whole of anything that begins one, once its parentheses are closed and
#: its arithmetic is compared with something. None is a name that would be looked up.
_COMPLETIONS = (
    *("", "1", "1.2.3.4", "tcp", "[0]", "dst 1.2.3.4", "host 1.2.3.4", "255.0.0.0"),
    *("mgt", "beacon", "nods", "pass"),
)


def place_of_error(expression: str, message: str, error_of: ErrorOf) -> int:
    """Return where the token begins that brings a message about.

    Parameters
    ----------
    error_of : callable
        Compiles a text; returns libpcap's message, or nothing.
    """
    if "\0" in expression:
        return expression.index("\0")
    tokens = list(_TOKEN.finditer(expression))
    for quoted in re.findall(r"'([^']+)'", message):
        for token in tokens:
            if token.group() == quoted:
                return token.start()

    def is_wrong(n_tokens: int) -> bool:
        text = expression[: tokens[n_tokens - 1].end()] if n_tokens else ""
        if _is_syntax_error(message):
            return not _can_be_completed(text, error_of)
        return error_of(text) == message

    n_tokens = bisect_left(range(len(tokens)), True, key=lambda n: is_wrong(n + 1))
    at_end = len(expression.rstrip())
    return tokens[n_tokens].start() if n_tokens < len(tokens) else at_end


def _can_be_completed(text: str, error_of: ErrorOf) -> bool:
    """Tell whether something can follow that makes a valid expression of a beginning.

    libpcap names no place, so it is asked: a few endings stand for all of them. One
    that fails for another reason than its syntax is well formed so far.
    """
    text = re.sub(r"[A-Za-z][\w-]*\.[\w.-]+", "192.0.2.1", text)  # no look-ups
    return any(
        not _is_syntax_error(error_of(f"{text} {ending}")) for ending in _endings(text)
    )


def _endings(text: str) -> Iterator[str]:
    """Yield completions that close what is open, with a comparison at each level."""
    closing = ""
    for character in text:
        if character in "([":
            closing = {"(": ")", "[": "]"}[character] + closing
        elif closing.startswith(character):
            closing = closing[1:]
    for completion in _COMPLETIONS:
        yield completion + closing
        for level in range(len(closing) + 1):
            yield f"{completion}{closing[:level]} = 0 {closing[level:]}"


def _is_syntax_error(message: str) -> bool:
    return message.startswith("can't parse filter expression")


# --- what an expression tells -------------------------------------------------

#: Accessors that read no address, nor anything that may be a copy of one.
_HARMLESS_ACCESSOR = re.compile(
    r"\b(?:tcp\s*\[\s*(?:tcpflags|13)|icmp\s*\[\s*(?:icmptype|icmpcode)"
    r"|icmp6\s*\[\s*(?:icmp6type|icmp6code))\s*\]"
)
_WORD = re.compile(r"[\w./:\\-]+|&&|\|\||<<|>>|[<>=!]=|\S")
_NUMBER = re.compile(r"\d+|0x[\da-fA-F]+|(?:tcp|icmp6?)-\w+")
_NAME_OR_NUMBER = re.compile(r"\\?[\w-]+")
_CONNECTIVES = {"and", "or", "&&", "||"}
_COMPARISONS = {"<", ">", "=", "==", "!=", "<=", ">="}
_ARITHMETIC = _COMPARISONS | {"&", "|", "+", "-", "*", "%", "^", "<<", ">>"}
_NOT_LITERALS = _ARITHMETIC | _CONNECTIVES | {"not", "!", "(", ")", "/"}

_BEFORE_NAMES = {"port", "portrange", "proto", "type", "subtype", "dir"}
_BEFORE_NUMBERS = {"vlan", "mpls", "pppoes", "geneve", "less", "greater"}
_OTHER_ENDS = {"dst", "gateway", "ra", "ta", "addr1", "addr2", "addr3", "addr4"}
_PROTOCOLS = {
    *("ether", "link", "wlan", "arp", "rarp", "ip", "ip6", "icmp", "icmp6", "igmp"),
    *("tcp", "udp", "sctp", "ah", "esp", "pim", "pppoed"),
}
_QUALIFIERS = (
    {"src", "host", "net", "mask", "len", "broadcast", "multicast"}
    | _BEFORE_NAMES
    | _BEFORE_NUMBERS
    | _OTHER_ENDS
    | _PROTOCOLS
)


def describes_addresses(expression: str) -> bool:
    """Tell whether an expression may name a destination.

    Where the destinations are sensors, such an expression is a secret of its own.

    Returns
    -------
    bool
        True where any address, network or name stands that is not qualified by `src`,
        or bytes are read that may hold an address; in doubt, True.
    """
    expression = _HARMLESS_ACCESSOR.sub(" len ", expression)
    if "[" in expression:
        return True
    words = _WORD.findall(expression)
    qualifiers: set[str] = set()
    for place, word in enumerate(words):
        before = words[:place]
        if word in _QUALIFIERS:
            if not _goes_on(before, word):
                qualifiers = set()
            qualifiers.add(word)
        elif word not in _NOT_LITERALS:
            neighbours = {*before[-1:], *words[place + 1 : place + 2]}
            if not _is_harmless(word, qualifiers, neighbours):
                return True
    return False


def _goes_on(before: list[str], word: str) -> bool:
    """Tell whether a word belongs to the qualifiers before it (`src or dst net`)."""
    if before[-1:] and before[-1] in _CONNECTIVES:
        return before[-2:-1] in (["src"], ["dst"])
    return word == "mask" or (before[-1:] != [] and before[-1] in _QUALIFIERS)


def _is_harmless(literal: str, qualifiers: set[str], neighbours: set[str]) -> bool:
    """Tell whether a literal behind some qualifiers can be no destination."""
    if "src" in qualifiers and not qualifiers & _OTHER_ENDS:
        return True
    if qualifiers & _BEFORE_NAMES:
        return _NAME_OR_NUMBER.fullmatch(literal) is not None
    is_number = _NUMBER.fullmatch(literal) is not None
    return is_number and bool(qualifiers & _BEFORE_NUMBERS or neighbours & _ARITHMETIC)
