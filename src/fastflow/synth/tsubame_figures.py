"""The figures of the scenario `tsubame-2020q3`: who sends how much, where to, when.

After JPCERT/CC's Internet Threat Monitoring Report for July to September 2020: its
ranks and what it remarks on are kept, the figures between are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastflow.synth.cells import ICMP, TCP, UDP
from fastflow.synth.course import STEADY, Course, Surge, step

#: Packets at scale 1, all of them.
PACKETS = 10_000_000

#: Name, country, addresses. Packets are in proportion to addresses.
PLACES = (
    ("tokyo-1", "JP", 16),
    ("osaka-1", "JP", 12),
    ("fukuoka-1", "JP", 8),
    ("ashburn-1", "US", 12),
    ("frankfurt-1", "DE", 12),
    ("singapore-1", "SG", 10),
    ("sao-paulo-1", "BR", 8),
    ("sydney-1", "AU", 8),
)
#: The sensor that was switched off for some days (known), and once more (not known).
INTERRUPTED = "frankfurt-1"
#: First day, and first day after it.
OFF_AIR = ("2020-05-18", "2020-05-21")
GAP = ("2020-07-13", "2020-07-17")

#: Instead of a port: each packet goes to another.
ANY_PORT = -1

#: Sources that come and go with people's machines, and those that run day and night.
OFFICE, ALWAYS = 0, 1
#: Weights from Monday to Sunday, and by two hours of local time, from midnight on.
WEEKS = ((103, 104, 103, 103, 102, 93, 92), (100, 101, 100, 101, 100, 99, 99))
DAYS = (
    (12, 10, 10, 14, 24, 27, 26, 27, 25, 21, 18, 15),
    (19, 19, 18, 18, 19, 20, 20, 21, 21, 21, 20, 20),
)


@dataclass(frozen=True)
class Flow:
    """What goes to one port, from everywhere or from one country.

    Attributes
    ----------
    level : int
        Parts of about 10,000 of all packets.
    senders : mapping of str to int
        Per cent of the sources that are each of `fastflow.synth.senders.SENDERS`.
    port : int
        Destination port, or `ANY_PORT`.
    per_source : int
        Packets for each source of a day, on average.
    tail : int
        1: all sources send alike; 2, 3: few send much, many send little.
    country : str
        Empty: from all countries, each by its share.
    """

    level: int
    senders: Mapping[str, int]
    port: int = 0
    proto: int = TCP
    icmp_type: int = 0
    course: Course = STEADY
    rhythm: int = ALWAYS
    per_source: int = 4
    tail: int = 3
    country: str = ""


@dataclass(frozen=True)
class Origin:
    """A country that packets come from.

    Attributes
    ----------
    share : int
        Parts of about 10,000.
    ahead : int
        Hours that its clocks are ahead of UTC.
    is_even : bool
        All of its sources send alike: none of them stands out.
    """

    share: int
    ahead: int
    course: Course = STEADY
    is_even: bool = False


#: When the shares of some countries change, slowly: it takes the two months.
DRIFT = ("2020-06-01", "2020-08-01")


def _drifts(per_mille: int) -> Course:
    return Course(((DRIFT[0], 1000), (DRIFT[1], per_mille)))


ORIGINS = {
    "US": Origin(1420, -6, _drifts(1141)),
    "RU": Origin(1380, 3, _drifts(718)),
    "NL": Origin(1240, 1, _drifts(839)),
    "CN": Origin(1060, 8, _drifts(1132)),
    "DE": Origin(320, 1, _drifts(1938)),
    "GB": Origin(520, 0),
    "UA": Origin(470, 2),
    "VN": Origin(425, 7),
    "TW": Origin(380, 8),
    "KR": Origin(315, 9),
    "BR": Origin(230, -3),
    "FR": Origin(230, 1),
    "IN": Origin(225, 5),
    "BG": Origin(220, 2),
    "ID": Origin(200, 7),
    "IR": Origin(180, 3),
    "HK": Origin(170, 8),
    "TR": Origin(170, 3),
    "SG": Origin(160, 8),
    "IT": Origin(150, 1),
    "TH": Origin(140, 7),
    "PL": Origin(130, 1),
    "JP": Origin(75, 9),
    "MX": Origin(110, -6),
    "RO": Origin(110, 2),
    "AR": Origin(100, -3),
    "CA": Origin(100, -5),
    "EG": Origin(90, 2),
    "ES": Origin(90, 1),
    "AU": Origin(60, 10),
    "NZ": Origin(15, 12, is_even=True),
}

_SCANNERS = {"masscan": 45, "zmap": 20, "linux": 35}
_SMB = {"windows-7": 40, "windows-xp": 25, "windows-10": 20, "linux": 10, "masscan": 5}
_SMB_NOT_8192 = {"windows-xp": 45, "windows-10": 40, "linux": 15}
_TELNET = {"mirai": 70, "linux": 20, "masscan": 10}
_ROUTERS = {"mirai": 40, "linux": 40, "masscan": 20}
_LOGIN = {"linux": 65, "masscan": 25, "zmap": 10}
_DATABASE = {"windows-10": 35, "windows-xp": 20, "masscan": 45}
_DESKTOP = {"windows-10": 40, "masscan": 45, "zmap": 15}
_UDP = {"udp": 100}
_ICMP = {"icmp": 100}

#: 445/TCP, high since late April.
SMB_STEP_DAY = "2020-04-24"
_SMB_COURSE = step(SMB_STEP_DAY, 250)
#: 22/TCP, rising through the second quarter.
SSH_RISE = ("2020-07-01", "2020-10-01")
#: 22/TCP from Russia: more from then on, and it stays.
RU_SSH_RISE = ("2020-07-06", "2020-07-16")
#: 3389/TCP from Russia: up, some weeks high, down.
RU_RDP_HUMP = ("2020-07-20", "2020-08-03", "2020-08-31", "2020-09-14")
#: 445/TCP from Japan, hosts with window 8192: rising, with short surges.
JP_SMB_RISE = ("2020-07-01", "2020-10-01")
JP_SMB_SURGES = (
    Surge("2020-07-21", 2, 2200),
    Surge("2020-08-12", 3, 1900),
    Surge("2020-09-08", 2, 1700),
)

FLOWS = (
    Flow(1240, _SMB, 445, course=_SMB_COURSE, rhythm=OFFICE, per_source=2, tail=2),
    Flow(1180, _TELNET, 23, per_source=2, tail=2),
    Flow(880, _DATABASE, 1433, per_source=5),
    Flow(440, _SCANNERS, 80),
    Flow(
        240,
        _LOGIN,
        22,
        course=Course(((SSH_RISE[0], 1000), (SSH_RISE[1], 3300))),
        per_source=3,
    ),
    Flow(310, _ROUTERS, 8080),
    Flow(275, _ROUTERS, 5555),
    Flow(245, _SCANNERS, 443),
    Flow(215, _ROUTERS, 81),
    Flow(190, _TELNET, 2323, per_source=2, tail=2),
    Flow(180, _DESKTOP, 3389, per_source=6),
    Flow(150, _ROUTERS, 37_215),
    Flow(130, _SCANNERS, 5900),
    Flow(120, _SCANNERS, 6379),
    Flow(110, _SCANNERS, 3306),
    Flow(100, _SCANNERS, 8443),
    Flow(90, _SCANNERS, 25),
    Flow(1300, _SCANNERS, ANY_PORT),
    Flow(170, _UDP, 5060, UDP, per_source=8),
    Flow(130, _UDP, 53, UDP, per_source=8),
    Flow(110, _UDP, 123, UDP, per_source=8),
    Flow(100, _UDP, 1900, UDP, per_source=8),
    Flow(70, _UDP, 161, UDP, per_source=8),
    Flow(50, _UDP, 11_211, UDP, per_source=8),
    Flow(280, _ICMP, proto=ICMP, icmp_type=8),
    # Backscatter of attacks far too small to be called one here.
    Flow(240, {"accepts": 100}, ANY_PORT, per_source=3),
    Flow(80, {"refuses": 100}, ANY_PORT, per_source=3),
    Flow(60, _ICMP, proto=ICMP, icmp_type=3),
    Flow(20, _ICMP, proto=ICMP, icmp_type=0),
    Flow(
        140,
        _LOGIN,
        22,
        course=Course(((RU_SSH_RISE[0], 1000), (RU_SSH_RISE[1], 1500))),
        per_source=3,
        country="RU",
    ),
    Flow(
        80,
        _DESKTOP,
        3389,
        course=Course(
            tuple(zip(RU_RDP_HUMP, (1000, 3400, 3400, 1000), strict=True)),
        ),
        per_source=6,
        country="RU",
    ),
    Flow(
        80,
        _SMB_NOT_8192,
        445,
        course=_SMB_COURSE,
        rhythm=OFFICE,
        per_source=1,
        tail=1,
        country="JP",
    ),
    Flow(
        200,
        {"windows-7": 100},
        445,
        course=Course(((JP_SMB_RISE[0], 0), (JP_SMB_RISE[1], 1000)), JP_SMB_SURGES),
        rhythm=OFFICE,
        per_source=1,
        tail=1,
        country="JP",
    ),
)
