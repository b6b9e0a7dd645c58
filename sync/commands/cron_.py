"""`luasprocs cron`: schedules and their countdowns."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from luasprocs.state.schedules import read_schedules
from sync.console import Console
from sync.session import Session

if TYPE_CHECKING:
    from luasprocs.state.schedules import ScheduleInfo, Schedules

EVERY_S = 1.0
_HEAD = ("name", "schedule", "zone", "in", "next utc", "last utc", "missed", "state")
_CLEAR = "\x1b[H\x1b[J"


@click.command("cron")
@click.option("--watch", is_flag=True, help="Refresh each second until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_obj
def command(flags: dict[str, object], watch: bool, as_json: bool) -> int:
    """Show schedules: next time, countdown, last run, and missed times."""
    console, session = Console.of_process(), Session(flags)
    try:
        while True:
            with session.named_errors():
                _show(console, read_schedules(session.registry), as_json=as_json, again=watch)
            if not watch:
                return 0
            time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return 130  # quietly: it is how one ends this


def _show(console: Console, found: Schedules, *, as_json: bool, again: bool) -> None:
    if as_json:
        for one in found.each:
            console.json({**one._asdict(), "left_ms": one.left_ms(found.now_ms)})
    else:
        if again and console.terminal:
            console.out.write(_CLEAR)
        if found.each:
            console.table(_HEAD, [_row(one, found.now_ms, short=console.terminal) for one in found.each])
        else:
            console.nothing("no sproc has a schedule")
    console.out.flush()


def _row(one: ScheduleInfo, now_ms: int, *, short: bool) -> tuple[object, ...]:
    left = countdown(one.left_ms(now_ms)) if one.due_ms else "-"
    state = one.problem or ("idle: no daemon runs it" if one.state == "idle" else one.shown_state)
    due, ran = (_when(ms, now_ms if short else 0) for ms in (one.due_ms, one.ran_ms))
    return (one.name, one.schedule, one.zone or "-", left, due, ran, one.missed, state)


def countdown(left_ms: int) -> str:
    """`12s`, `4m05s`, `3h07m`, `2d03h`."""
    seconds = -(-left_ms // 1000)
    for unit, length, rest, below in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= length:
            return f"{seconds // length}{unit}{seconds % length // below:02}{rest}"
    return f"{seconds}s"


def _when(ms: int, now_ms: int) -> str:
    """In UTC; with `now_ms`, 0 for none, as short as it can be then."""
    if not ms:
        return "-"
    at, now = (datetime.fromtimestamp(time_ms / 1000, UTC) for time_ms in (ms, now_ms))
    return at.strftime("%Y-%m-%d %H:%M:%S" if not now_ms else "%H:%M:%S" if at.date() == now.date() else "%b %d %H:%M")
