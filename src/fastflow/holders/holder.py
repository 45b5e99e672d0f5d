"""Who holds an address, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """Who holds an address.

    Attributes
    ----------
    asn : int or None
        The autonomous system that announces it.
    as_name : str or None
        Who runs that, by a table.
    organisation : str or None
        Whom a registry says it is assigned to.
    network : str or None
        What is assigned: CIDR, or first and last address.
    abuse : str or None
        The mail address for reports of abuse.
    reason : str or None
        Why a registry that was asked, or should have been, says nothing.
    """

    asn: int | None = None
    as_name: str | None = None
    organisation: str | None = None
    network: str | None = None
    abuse: str | None = None
    reason: str | None = None

    @property
    def name(self) -> str | None:
        """The holder: whom it is assigned to, or who announces it."""
        return self.organisation or self.as_name


def one_line(text: str, most: int = 200) -> str:
    """Return a foreign text as one printable line of bounded length."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:most].rstrip()
