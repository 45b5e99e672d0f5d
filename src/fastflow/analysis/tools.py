"""Which tools are believed: evidence counted over sources, and packets compared.

The column `tool` is what one packet says. Some say so by chance: a source must have as
many of them as the rule wants. And some tools show in several packets of a source only,
whose sequence numbers differ while something that the tool made them of does not.
"""

from __future__ import annotations

from typing import Any

from fastflow.analysis.selection import Selection
from fastflow.analysis.where import Conditions, Hours
from fastflow.tools import Rule, known_tools

#: Of the packets of a source that may be a pair's, so many must agree: among many that
#: are of no tool, some agree by chance.
_SHARE = 0.5

#: Rows that may be a pair's.
_PROBES = "proto = 6 and traffic = 'scan' and ip_version = 4 and tool is null"

#: What stays the same of Nmap's sequence numbers, also where a row has only one.
_KEY_OF_ONE = "xor(tcp_seq >> 16, tcp_seq & 65535)"


def rows_with_tools(selection: Selection, hours: Hours | None) -> tuple[str, list[Any]]:
    """Return the rows of `sources` with the tools that are believed, and SQL's values.

    Parameters
    ----------
    selection : Selection
        Of a store that keeps sources. Its sensors give the evidence, whatever its
        filters are.
    hours : two datetimes or None
        Where evidence is taken from; None: all hours.

    Returns
    -------
    str, list
        SQL that stands for the table, as in `from ...`; its parameters.

    Notes
    -----
    Where a source has too few packets of a tool, these have none. Rules are those of
    fastflow; a tool of a rule that others wrote is believed as it stands.
    """
    of = Conditions.of(None, hours)
    selection.add_sensors(of)
    # Not one subquery for all: it would be made a copy of the whole table.
    evidence = f"sources where {of}"
    parts = [
        _of_packets(evidence),
        *(_of_pair(rule, evidence) for rule in _rules(is_pair=True)),
    ]
    believed = " union all ".join(parts)
    return (
        f"(with believed(of_src, of_version, of_tool, of_signature, is_pair) "
        f"as ({believed}) "
        "select sources.* replace (of_tool as tool) from sources left join believed "
        "on src = of_src and ip_version = of_version and if(is_pair, "
        f"{_PROBES} and if(of_signature is null, {_of_no_pair()}, "
        "signature = of_signature), tool = of_tool)) as sources",
        of.params * believed.count(evidence),
    )


def _rules(is_pair: bool) -> list[Rule]:
    return [rule for rule in known_tools().rules if rule.is_pair == is_pair]


def _of_no_pair() -> str:
    """Return the condition that no pair has a row's signature for its own."""
    own = [f"'{r.signature}'" for r in _rules(is_pair=True) if r.signature]
    return f"(signature is null or signature not in ({', '.join(own)}))"


def _of_packets(evidence: str) -> str:
    """Return sources and their tools: those of which they have enough packets."""
    return (
        f"select src, ip_version, tool, null, false from {evidence} "
        "and tool is not null group by src, ip_version, tool "
        f"having sum(packets) >= {packets_wanted()}"
    )


def packets_wanted() -> str:
    """Return in SQL how many packets of `tool` make a source believed to have it."""
    rules = _rules(is_pair=False)
    least = " ".join(f"when '{rule.tool}' then {rule.packets}" for rule in rules)
    return f"case tool {least} else 1 end"


def _of_pair(rule: Rule, evidence: str) -> str:
    """Return the sources of a tool that shows in several packets only.

    A row has a key where its sequence numbers differ, which is half of the evidence.
    """
    if rule.signature is None:
        has_key = (
            f"select src from {evidence} and {_PROBES} and tcp_seq_key is not null"
        )
        is_probe = f"tcp_seq is null and {_of_no_pair()} and src in ({has_key})"
        key, differs, signature = "tcp_seq_key", "true", "null"
    else:
        is_probe = f"signature = '{rule.signature}'"
        key = f"coalesce(tcp_seq_key, {_KEY_OF_ONE})"
        differs = "bool_or(tcp_seq_key is not null) or min(tcp_seq) <> max(tcp_seq)"
        signature = f"'{rule.signature}'"
    keys = (
        f"select src, {key} as key, sum(packets) as n, {differs} as differs "
        f"from {evidence} and {_PROBES} and {is_probe} group by src, key"
    )
    return (
        f"select src, 4, '{rule.tool}', {signature}, true from ({keys}) group by src "
        "having max(n) filter (key is not null and differs) >= "
        f"greatest({rule.packets}, {_SHARE} * sum(n))"
    )
