"""Holders of addresses, from all that was given to tell them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fastflow.holders.holder import Holder
from fastflow.holders.rdap import Rdap
from fastflow.holders.registration import Registration
from fastflow.holders.table import open_asn_table


class Holders:
    """Says who holds addresses.

    A registry says whom an address is assigned to, a table who announces it: of a
    customer's network the one names the customer, the other the provider. So where
    registries may be asked, they are, for all addresses; the tables say the rest.

    Parameters
    ----------
    tables : sequence of paths
        ASN tables. The first that has an address is believed.
    rdap : Rdap or None
        Asks registries; None: nobody is asked.

    Raises
    ------
    ConfigError, DataFileError
        A table does not exist, or is none.
    """

    def __init__(
        self, tables: Sequence[str | os.PathLike[str]] = (), rdap: Rdap | None = None
    ) -> None:
        self._tables = [open_asn_table(Path(path)) for path in tables]
        self._rdap = rdap

    def look_up(self, addresses: Sequence[str]) -> dict[str, Holder]:
        """Return who holds each address, as text; nothing that fails is an error."""
        found = {address: Holder() for address in addresses}
        for table in self._tables:
            todo = [one for one, holder in found.items() if holder == Holder()]
            for address, system in zip(todo, table.look_up(todo), strict=True):
                found[address] = Holder(*system)
        if self._rdap is not None:
            for address, answer in self._rdap.look_up(found).items():
                found[address] = _with(found[address], answer)
        return found

    def names(self, addresses: Sequence[str]) -> dict[str, str | None]:
        """Return the name of each address's holder; None: it is not known."""
        return {one: holder.name for one, holder in self.look_up(addresses).items()}

    @property
    def sources(self) -> list[str]:
        """What was looked into: each with its name and date."""
        tables = [f"{table.name}, {table.date}" for table in self._tables]
        asked = self._rdap.source if self._rdap else None
        return list(dict.fromkeys([*tables, *([asked] if asked else [])]))

    @property
    def remarks(self) -> list[str]:
        """What could not be found out, and why."""
        remark = self._rdap.remark if self._rdap else None
        return [remark] if remark else []


def _with(holder: Holder, answer: Registration | str) -> Holder:
    if isinstance(answer, str):
        return replace(holder, reason=answer)
    return replace(
        holder,
        organisation=answer.organisation,
        network=answer.network,
        abuse=answer.abuse,
    )
