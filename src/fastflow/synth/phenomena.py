"""What is planted in the scenario `tsubame-2020q3`, in words and as filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from fastflow.synth.bursts import BURSTS, COUNTRY, HOLDERS, TELNET
from fastflow.synth.cells import ACK, SYN, TCP
from fastflow.synth.course import FIRST_DAY, N_DAYS, day_at
from fastflow.synth.senders import BURST_ANSWER, BURST_TELNET, STYLES
from fastflow.synth.tsubame_figures import (
    DRIFT,
    GAP,
    INTERRUPTED,
    JP_SMB_RISE,
    JP_SMB_SURGES,
    OFF_AIR,
    ORIGINS,
    RU_RDP_HUMP,
    RU_SSH_RISE,
    SMB_STEP_DAY,
    SSH_RISE,
)

#: The first day after the scenario.
END = day_at(N_DAYS).isoformat()
#: The window of Windows 7 and Server 2008 R2, and of what exploits MS17-010.
WINDOW = 8192

_SMB = {"proto": TCP, "dst_port": 445}
_SSH = {"proto": TCP, "dst_port": 22}
_RDP = {"proto": TCP, "dst_port": 3389}


@dataclass(frozen=True)
class Phenomenon:
    """One thing that was planted.

    Attributes
    ----------
    name : str
        Different for each.
    kind : str
        `step` (a level changes within days, and stays), `trend` (it goes on for
        months), `hump` (weeks), `surge` (days), `burst` (minutes), `gap`, `off`.
    about : str
        In words.
    start, end : str
        First day, and first day after it (UTC).
    slice : mapping
        Packet columns and the values that make it up.
    fixed : mapping
        Further columns, and the one value that they have in the slice meanwhile.
    """

    name: str
    kind: str
    about: str
    start: str
    end: str
    slice: Mapping[str, str | int]
    fixed: Mapping[str, int] = field(default_factory=dict)


def _after(day: str, days: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def _drifts() -> Iterator[Phenomenon]:
    for country, origin in ORIGINS.items():
        levels = origin.course.levels()
        if levels[0] != levels[-1]:
            yield Phenomenon(
                f"drift-{country.lower()}",
                "trend",
                f"the share of {country} goes from one level to another in two months, "
                f"to {levels[-1] / levels[0]:.0%}",
                *DRIFT,
                {"country": country},
            )


def _surges() -> Iterator[Phenomenon]:
    for number, surge in enumerate(JP_SMB_SURGES, start=1):
        yield Phenomenon(
            f"jp-445-8192-surge-{number}",
            "surge",
            "445/TCP from Japan, window 8192: "
            f"{surge.per_mille / 1000:.1f} times as much as the rise has by then",
            surge.day,
            _after(surge.day, surge.days),
            {"country": "JP", **_SMB, "tcp_window": WINDOW},
        )


def _bursts() -> Iterator[Phenomenon]:
    for burst in BURSTS:
        times = (burst.day, _after(burst.day, 1))
        about = f"New Zealand, {HOLDERS[burst.holder]}, hosts: {len(burst.hosts)}"
        yield Phenomenon(
            f"nz-{burst.day}-443",
            "burst",
            f"{about}: backscatter, from port 443/TCP",
            *times,
            {"country": COUNTRY, "proto": TCP, "src_port": 443, "tcp_flags": SYN | ACK},
            {
                "tcp_window": STYLES[BURST_ANSWER.first_style].window,
                "tcp_seq": BURST_ANSWER.seq,
            },
        )
        yield Phenomenon(
            f"nz-{burst.day}-23",
            "burst",
            f"{about}: SYNs to 23/TCP, no backscatter",
            *times,
            {"country": COUNTRY, "proto": TCP, "dst_port": TELNET, "tcp_flags": SYN},
            {"tcp_window": STYLES[BURST_TELNET.first_style].window},
        )


PHENOMENA = (
    Phenomenon(
        "445-step",
        "step",
        "445/TCP is four times as much since late April",
        SMB_STEP_DAY,
        END,
        _SMB,
    ),
    Phenomenon(
        "22-trend",
        "trend",
        "22/TCP rises through the second quarter, in packets and in sources",
        *SSH_RISE,
        _SSH,
    ),
    Phenomenon(
        "ru-22-step",
        "step",
        "22/TCP from Russia goes up within ten days, then rises like elsewhere",
        RU_SSH_RISE[0],
        END,
        {"country": "RU", **_SSH},
    ),
    Phenomenon(
        "ru-3389-hump",
        "hump",
        "3389/TCP from Russia goes up, is high for four weeks, comes down",
        RU_RDP_HUMP[0],
        RU_RDP_HUMP[-1],
        {"country": "RU", **_RDP},
    ),
    Phenomenon(
        "jp-445-8192-trend",
        "trend",
        "445/TCP from Japan: hosts with window 8192 grow through the second quarter",
        *JP_SMB_RISE,
        {"country": "JP", **_SMB, "tcp_window": WINDOW},
    ),
    Phenomenon(
        "jp-445-trend",
        "trend",
        "445/TCP from Japan: packets and hosts rise through the second quarter",
        *JP_SMB_RISE,
        {"country": "JP", **_SMB},
    ),
    *_surges(),
    *_bursts(),
    *_drifts(),
    Phenomenon(
        "gap",
        "gap",
        f"{INTERRUPTED} was on the air, and there are no captures",
        *GAP,
        {"sensor": INTERRUPTED},
    ),
    Phenomenon(
        "off",
        "off",
        f"{INTERRUPTED} was off the air, as sensors.toml says",
        *OFF_AIR,
        {"sensor": INTERRUPTED},
    ),
)

FIRST = FIRST_DAY.isoformat()
