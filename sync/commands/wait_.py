"""`luasprocs wait`: the barrier."""

from __future__ import annotations

import time

import click

from luasprocs.errors import SettingsError
from luasprocs.language.values import duration_ms, shown, some_of
from luasprocs.state.barrier import wait_for_events
from sync.console import Console
from sync.session import Session


@click.command("wait")
@click.option("--timeout", metavar="DURATION", default="60s", help="Give up after this time [default: 60s].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(flags: dict[str, object], timeout: str, as_json: bool) -> int:
    """Wait until every event up to now has run. Runs that those runs caused may still be under way: wait again for them.

    Exit code 1 if events were missed meanwhile: they are a gap.
    """
    console = Console.of_process()
    try:
        timeout_s = duration_ms(timeout) / 1000
    except ValueError:
        raise SettingsError(f"--timeout {shown(timeout)} is not a duration, like 60s or 5m") from None
    session = Session(flags, within_s=timeout_s)
    started_s = time.monotonic()
    with session.named_errors():
        passed = wait_for_events(session.registry, timeout_s)
    waited_ms = round((time.monotonic() - started_s) * 1000)
    if as_json:
        facts = {"epoch": passed.epoch or None, "tick": passed.tick, "sources": passed.sources, "waited_ms": waited_ms}
        console.json(facts | {"missed": list(passed.missed)})
    elif passed.missed:
        console.error(f"events of {some_of(passed.missed)} were missed meanwhile: see luasprocs logs --status gap")
    elif passed.sources:
        console.line(f"every event up to now has run ({waited_ms} ms)")
    else:
        console.line("no sproc waits for events")
    return 1 if passed.missed else 0
