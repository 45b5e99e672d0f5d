"""Who runs in `make bench`: fastflow's jobs, the yardstick, the peers. Data only.

Each contestant is a command that runs in a process of its own. `{capture}` stands for
its input, `{scratch}` for an empty directory, `{python}` and `{here}` for the
interpreter and this directory, `{build}` for where the C loops are built. Where `count`
is "json" the command prints its packets and its seconds, and its clock starts after its
imports; else the whole process is timed, and `count` says how the packets that it has
seen are known.
"""

from __future__ import annotations

from dataclasses import dataclass

YARDSTICK = "libpcap"
#: The loads that a contestant runs on; see loads.py.
SCAN = ("scan",)
USUAL = ("scan", "scatter")
EVERY = ("scan", "scatter", "payload")

_LOOP = "{python} {here}/peer_loops.py %s {capture} {scratch}"


@dataclass(frozen=True)
class Contestant:
    """A command that is measured.

    Attributes
    ----------
    name, text : str
        As raw.json and as a reader knows it.
    command : str
        Split like a shell would, then filled in.
    group : str
        "ours", "yardstick", "peer", or "bare": what a job of ours rests on.
    kinds : tuple of str
        Loads that it runs on.
    of : str
        Which input of the load: "whole", its "first" packets, "gz", "zst", "many"
        captures, the same packets in "one", "nothing".
    count : str
        "json", "lines" of the output, rows of a "parquet" file, "" for nothing, or a
        regular expression that finds the number in the output.
    needs : str
        "command:NAME", "module:NAME" or "library:NAME" that must be there.
    version : str
        Command whose first line of output has it; modules and loops tell it themselves.
    differs : str
        What it does less or more than ours: the bias of the comparison.
    """

    name: str
    text: str
    command: str
    group: str = "peer"
    kinds: tuple[str, ...] = EVERY
    of: str = "whole"
    count: str = "json"
    needs: str = ""
    version: str = ""
    differs: str = ""


def job_command(job: str, workers: int = 1) -> str:
    """Return the command of a job of jobs.py."""
    return f"{{python}} {{here}}/jobs.py {job} {{capture}} {{scratch}} {workers}"


def _ours(
    name: str,
    text: str,
    kinds: tuple[str, ...],
    job: str,
    workers: int = 1,
    of: str = "whole",
) -> Contestant:
    command = job_command(job, workers)
    return Contestant(name, text, command, "ours", kinds, of)


OURS = (
    _ours("scan-all", "scan, all 27 columns, 2 workers", EVERY, "scan-all", 2),
    _ours("scan-all-1", "scan, all 27 columns, 1 worker", EVERY, "scan-all"),
    _ours("scan-four", "scan, four columns, 2 workers", EVERY, "scan-four", 2),
    _ours("scan-four-1", "scan, four columns, 1 worker", EVERY, "scan-four"),
    _ours("tally", "counts and sources in memory, 1 worker", USUAL, "tally"),
    _ours("tally-2", "counts and sources in memory, 2 workers", USUAL, "tally", 2),
    _ours("tally-core", "counts and sources in memory, 1 core", USUAL, "tally-core"),
    _ours("reduce-core", "whole reduce, 1 core", USUAL, "reduce-core"),
    _ours("reduce", "whole reduce, 1 worker", (*USUAL, "one-hour"), "reduce"),
    _ours("reduce-2", "whole reduce, 2 workers", USUAL, "reduce", 2),
    _ours("reduce-gz", "whole reduce of .pcap.gz, 2 workers", SCAN, "reduce", 2, "gz"),
    _ours(
        "reduce-zst", "whole reduce of .pcap.zst, 2 workers", SCAN, "reduce", 2, "zst"
    ),
    _ours("reduce-many", "whole reduce, captures of 100", SCAN, "reduce", of="many"),
    _ours("reduce-one", "whole reduce, their packets in one", SCAN, "reduce", of="one"),
    Contestant(
        "version",
        "fastflow --version",
        "{python} -m fastflow --version",
        "ours",
        SCAN,
        of="nothing",
        count="",
    ),
    Contestant(
        "help",
        "fastflow --help",
        "{python} -m fastflow --help",
        "ours",
        SCAN,
        of="nothing",
        count="",
    ),
)

BARE = (
    Contestant(
        "bare-gz",
        "isal alone, .pcap.gz to nowhere",
        job_command("bare-gz"),
        "bare",
        SCAN,
        "gz",
        needs="module:isal",
        differs="only decompresses",
    ),
    Contestant(
        "bare-zst",
        "pyarrow alone, .pcap.zst to nowhere",
        job_command("bare-zst"),
        "bare",
        SCAN,
        "zst",
        needs="module:pyarrow",
        differs="only decompresses",
    ),
)

PEERS = (
    Contestant(
        YARDSTICK,
        "libpcap, empty loop (L)",
        "{build}/libpcap_loop {capture}",
        "yardstick",
        (*EVERY, "one-hour"),
        needs="library:pcap",
        differs="less: finds the records, decodes nothing",
    ),
    Contestant(
        "libtrace",
        "libtrace, empty loop, 2 threads",
        "{build}/libtrace_loop {capture}",
        needs="library:trace",
        differs="less: as libpcap's; a second thread reads ahead",
    ),
    Contestant(
        "nfpcapd",
        "nfpcapd, to flow files",
        "nfpcapd -r {capture} -w {scratch}",
        count=r"Total: Processed: (\d+)",
        needs="command:nfpcapd",
        version="nfpcapd -V",
        differs="flows by five-tuple in files of five minutes: no signature, no "
        "country, no exact number of sources; not flushed to disk",
    ),
    Contestant(
        "duckdb",
        "DuckDB, group by of the columns, 1 thread",
        _LOOP % "duckdb",
        kinds=USUAL,
        needs="module:duckdb",
        differs="less: starts from fastflow's decoded columns in memory, signatures "
        "included; no country",
    ),
    Contestant(
        "polars",
        "Polars, group by of the columns, 1 thread",
        _LOOP % "polars",
        kinds=USUAL,
        needs="module:polars",
        differs="less: as DuckDB's",
    ),
    Contestant(
        "tcpdump",
        "tcpdump -n",
        "tcpdump -n -r {capture}",
        of="first",
        count="lines",
        needs="command:tcpdump",
        version="tcpdump --version",
        differs="a line of text per packet; counts nothing",
    ),
    Contestant(
        "tshark",
        "tshark -T fields, four fields",
        "tshark -n -r {capture} -T fields -e frame.time_epoch -e ip.src "
        "-e tcp.dstport -e tcp.window_size_value",
        of="first",
        count="lines",
        needs="command:tshark",
        version="tshark --version",
        differs="more: dissects every layer; writes text; counts nothing; its start-up "
        "is within its time",
    ),
    Contestant(
        "dpkt",
        "dpkt, Python loop",
        _LOOP % "dpkt",
        of="first",
        needs="module:dpkt",
        differs="less: packets by hour, port and window; no sources, no options",
    ),
    Contestant(
        "scapy",
        "Scapy, Python loop",
        _LOOP % "scapy",
        of="first",
        needs="module:scapy",
        differs="as dpkt's, but every layer is decoded to an object",
    ),
    Contestant(
        "nfstream",
        "NFStream, flows",
        _LOOP % "nfstream",
        of="first",
        needs="module:nfstream",
        differs="flows by five-tuple, one meter, no dissection, no statistics; no "
        "signature, no country",
    ),
    Contestant(
        "pcaptoparquet",
        "pcaptoparquet",
        "pcaptoparquet -i {capture} -o {scratch}/out.parquet",
        of="first",
        count="parquet",
        needs="command:pcaptoparquet",
        version="pcaptoparquet --version",
        differs="more: 64 columns, DNS, HTTP, TLS, written as Parquet; its imports are "
        "within its time",
    ),
)

#: In the order in which each round runs them.
ALL = (*PEERS[:2], *OURS, *BARE, *PEERS[2:])
