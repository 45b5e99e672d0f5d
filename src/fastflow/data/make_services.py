"""Make services.csv from IANA's port list as Debian's wireshark package carries it.

python src/fastflow/data/make_services.py [/usr/share/wireshark/services]

The order of the list decides: of several names for one port the first is taken, which
is the one that IANA lists as primary.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

PROTOCOLS = ("tcp", "udp", "sctp", "dccp")

HEADER = """\
# Names of ports. Source: IANA, Service Name and Transport Protocol Port Number
# Registry, https://www.iana.org/assignments/service-names-port-numbers
# as carried in Debian's libwireshark-data {version}, file `services`
# of {date}, reproduced there with IANA's permission.
# Made by make_services.py; do not edit.
"""


def read_services(path: Path) -> dict[tuple[int, str], str]:
    """Read lines `name  port/proto/proto  # comment`; ports may be `first-last`."""
    names: dict[tuple[int, str], str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) != 2:
            continue
        ports, *protocols = fields[1].split("/")
        first, _, last = ports.partition("-")
        for port in range(int(first), int(last or first) + 1):
            for protocol in protocols:
                names.setdefault((port, protocol), fields[0])
    return names


def package_version(path: Path) -> str:
    """Ask dpkg for the version of the package that owns the file."""
    owner = subprocess.run(
        ["dpkg", "-S", path], capture_output=True, check=True, text=True
    ).stdout.split(":")[0]
    return subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", owner],
        capture_output=True,
        check=True,
        text=True,
    ).stdout


def main() -> None:
    """Write services.csv beside this script."""
    source = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wireshark/services")
    names = read_services(source)
    date = datetime.fromtimestamp(source.stat().st_mtime, UTC).date()
    target = Path(__file__).with_name("services.csv")
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER.format(version=package_version(source), date=date))
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["port", "proto", "name"])
        for (port, protocol), name in sorted(names.items()):
            if protocol in PROTOCOLS:
                rows.writerow([port, protocol, name])


if __name__ == "__main__":
    main()
