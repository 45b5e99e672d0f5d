"""What fastflow is to reach, as data, and how each is read off a run's results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from contestants import EVERY, USUAL, YARDSTICK
from results import Result

Results = Mapping[str, Result]


class MissingError(Exception):
    """A contestant that is needed did not run."""


@dataclass(frozen=True)
class Target:
    """One line of the targets.

    Attributes
    ----------
    text : str
    kind : str
        The load.
    limit : float
    unit : str
        Written behind the figures.
    measure : callable
        From the results of a run to the median's figure.
    at_least : bool
        Otherwise the limit is the most that is allowed.
    """

    text: str
    kind: str
    limit: float
    unit: str
    measure: Callable[[Results], float]
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Return whether a figure reaches the target."""
        return value >= self.limit if self.at_least else value <= self.limit


def _median(results: Results, name: str) -> float:
    if name not in results or not results[name].seconds:
        raise MissingError(name)
    return results[name].median


def _of_l(job: str) -> Callable[[Results], float]:
    """Measure a job's time as a multiple of L."""
    return lambda results: _median(results, job) / _median(results, YARDSTICK)


def _speed(job: str, than: str) -> Callable[[Results], float]:
    """Measure how many times faster a job is than another."""
    return lambda results: _median(results, than) / _median(results, job)


def _seconds(job: str) -> Callable[[Results], float]:
    return lambda results: _median(results, job)


def _peak_mb(job: str) -> Callable[[Results], float]:
    def measure(results: Results) -> float:
        if job not in results or results[job].peak_bytes is None:
            raise MissingError(job)
        return (results[job].peak_bytes or 0) / 1e6

    return measure


def _ms_per_capture(results: Results) -> float:
    beyond = _median(results, "reduce-many") - _median(results, "reduce-one")
    return beyond / results["reduce-many"].captures * 1000


def _scans() -> Iterator[Target]:
    for kind in EVERY:
        faster = _speed("scan-all", YARDSTICK)
        yield Target("scan, all columns", kind, 2.5, "x faster than L", faster, True)
        faster = _speed("scan-four", YARDSTICK)
        yield Target("scan, four columns", kind, 4.0, "x faster than L", faster, True)


def _counts() -> Iterator[Target]:
    limits = {"scan": (0.8, 1.3, 1.7, 1.5), "scatter": (2.2, 8.0, 1.4, 1.3)}
    for kind in USUAL:
        tally, whole, tally_2, whole_2 = limits[kind]
        memory = "counts and sources in memory"
        yield Target(f"{memory}, 1 worker", kind, tally, "L", _of_l("tally"))
        yield Target("whole reduce, 1 worker", kind, whole, "L", _of_l("reduce"))
        gain = _speed("tally-2", "tally")
        yield Target(f"{memory}, 2 workers", kind, tally_2, "x that of 1", gain, True)
        gain = _speed("reduce-2", "reduce")
        yield Target(
            "whole reduce, 2 workers", kind, whole_2, "x that of 1", gain, True
        )
        # One worker has a second thread to read and hash: this is without it.
        gain = _speed("tally-2", "tally-core")
        yield Target(f"{memory}, 2 workers", kind, tally_2, "x 1 core's", gain, True)
        gain = _speed("reduce-2", "reduce-core")
        yield Target("whole reduce, 2 workers", kind, whole_2, "x 1 core's", gain, True)


def _others() -> Iterator[Target]:
    for end, library in (("gz", "isal"), ("zst", "pyarrow")):
        speed = _speed(f"reduce-{end}", f"bare-{end}")
        text, unit = f"whole reduce of .pcap.{end}", f"of {library}'s speed alone"
        yield Target(text, "scan", 0.9, unit, speed, True)
    text = "a capture of 100 packets, beyond its packets"
    yield Target(text, "scan", 1.0, "ms", _ms_per_capture)
    for name in ("version", "help"):
        yield Target(f"fastflow --{name}", "scan", 0.15, "s", _seconds(name))
    text = "peak memory, each packet a source, one hour"
    yield Target(text, "one-hour", 512.0, "MB", _peak_mb("reduce"))


TARGETS = (*_scans(), *_counts(), *_others())


def rows(kind: str, results: Results) -> Iterator[str]:
    """Yield a Markdown row for each target of a load: wanted, measured, reached."""
    for target in TARGETS:
        if target.kind != kind:
            continue
        sign = ">=" if target.at_least else "<="
        wanted = f"{sign} {target.limit:g} {target.unit}"
        try:
            value = target.measure(results)
        except MissingError:
            yield f"| {target.text} | {wanted} | not measured | |"
            continue
        reached = "yes" if target.is_met(value) else "no"
        yield f"| {target.text} | {wanted} | {value:.2f} | {reached} |"
