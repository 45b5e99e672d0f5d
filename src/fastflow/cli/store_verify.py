"""`fastflow store verify`: what in a store is not as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastflow.cli.common import echo_error, json_option, print_json, store_option

if TYPE_CHECKING:
    from fastflow.store.verify import Verdict


@click.command("verify")
@store_option
@json_option
@click.pass_context
def command(ctx: click.Context, store_url: str, as_json: bool) -> None:
    """Read all of a store and compare it with what was committed.

    Finds every flipped bit in the files and in the log, missing files, and inputs whose
    rows do not add up to what was counted of them; says which captures have to be
    reduced again after `fastflow store repair`. Files that a run left which died are
    listed, and nothing is wrong with them: the next reduce removes them.

    Exit codes: 0 all as committed; 1 something is damaged or missing.
    """
    from fastflow.cli.progress import progress_bar
    from fastflow.store import Store

    with progress_bar("verify") as progress:
        verdict = Store.verify(store_url, progress)
    if as_json:
        print_json(_document(verdict))
    else:
        _print(verdict)
    ctx.exit(0 if verdict.is_good else 1)


def _document(verdict: Verdict) -> dict[str, object]:
    """Return what `--json` prints."""
    return {
        "good": verdict.is_good,
        "files": verdict.files,
        "inputs": verdict.inputs,
        "log": verdict.log,
        "damaged": verdict.damaged,
        "missing": verdict.missing,
        "foreign": verdict.foreign,
        "orphans": verdict.orphans,
        "wrong": [
            {"id": one, "path": verdict.paths.get(one), "what": what}
            for one, what in verdict.wrong.items()
        ],
    }


def _print(verdict: Verdict) -> None:
    for name, what in verdict.log.items():
        echo_error(f"{name}: damaged: {what}")
    for name in verdict.damaged:
        echo_error(f"{name}: damaged: not as it was written")
    for name in verdict.missing:
        echo_error(f"{name}: missing")
    for name in verdict.foreign:
        echo_error(f"{name}: not a file of fastflow's; it is left alone")
    for input_id, what in verdict.wrong.items():
        capture = verdict.paths.get(input_id, "a capture that is not known any more")
        echo_error(f"{capture}: {what} (input {input_id})")
    for name in verdict.orphans:
        click.echo(f"{name}: left by a run that died; the next reduce removes it")
    if verdict.is_good:
        click.echo(
            f"all as committed: {verdict.files:,} files, {verdict.inputs:,} inputs"
        )
    else:
        echo_error("run `fastflow store repair`; it says what to reduce again")
