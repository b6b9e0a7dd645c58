"""Every action of the screens in one table: bindings, the `:` commands, the help and docs/screen.md come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Action:
    """`name`: of its `:` command, and with `action_` before it of the method; `where`: screens, or `everywhere`.

    `writes`: it changes something in Redis, and is off with --read-only; `shown`: stands in the footer.
    """

    name: str
    keys: str
    label: str
    says: str
    where: tuple[str, ...]
    writes: bool = False
    shown: bool = True
    display: str | None = None


ACTIONS = (
    Action("filter", "slash", "Filter", "Shows only what has these words.", ("sprocs",), display="/"),
    Action("sort", "o", "Sort", "Sorts by the next column.", ("sprocs",), shown=False),
    Action("reverse", "O", "Reverse", "Sorts the other way round.", ("sprocs",), shown=False),
    Action("executions", "x", "Executions", "What ran, as it comes.", ("sprocs",)),
    Action("cron", "c", "Cron", "Schedules, and what they count down to.", ("sprocs",)),
    Action("jobs", "J", "Jobs", "Async runs: running, waiting, dead.", ("sprocs",)),
    Action("history", "h", "History", "Generations, and the way back to one.", ("sprocs",)),
    Action("run_sproc", "R", "Run", "Runs it with keys and arguments, and shows the reply.", ("sprocs", "source"), writes=True),
    Action("pause", "p", "Pause", "Stops its triggers, or starts them again.", ("sprocs", "source", "cron"), writes=True),
    Action("edit", "e", "Edit", "Edits its header live; a daemon commits it.", ("sprocs", "source"), writes=True),
    Action("edit_source", "E", "Editor", "Opens its source in $EDITOR.", ("sprocs", "source"), writes=True, shown=False),
    Action("undo", "u", "Undo", "Takes a live edit back.", ("sprocs", "source"), writes=True, shown=False),
    Action("retry", "t", "Retry", "Runs a dead job anew, a delayed one now.", ("jobs",), writes=True),
    Action("drop", "d", "Drop", "Forgets a job that does not run.", ("jobs",), writes=True),
    Action("roll_back", "b", "Roll back", "Makes this generation live again.", ("history",), writes=True),
    Action("sync", "s", "Sync", "Asks a daemon to sync; lifts a pin.", ("sprocs", "history"), writes=True, shown=False),
    Action("suspend", "S", "Suspend", "Suspends syncs, or lets them go on.", ("sprocs", "history"), writes=True, shown=False),
    Action("refresh_now", "r", "Refresh", "Reads everything again now.", ("everywhere",), shown=False),
    Action("command", "colon", "Command", "Types a command: any action here by its name.", ("everywhere",), display=":"),
    Action("help", "question_mark", "Help", "What the keys do here.", ("everywhere",), display="?"),
    Action("quit", "q", "Quit", "Leaves.", ("everywhere",)),
)  # fmt: skip


def bindings(where: str) -> list[Binding]:
    """Those of one screen, or of the app (`everywhere`)."""
    return [
        Binding(one.keys, target(one), one.label, show=one.shown, key_display=one.display, id=f"{where}.{one.name}")
        for one in ACTIONS
        if where in one.where
    ]


def target(action: Action) -> str:
    """Whose method it is, as Textual names it: the screen's own, or the app's."""
    return f"{'screen' if action.name in {'filter', 'sort', 'reverse'} else 'app'}.{action.name}"


def of(name: str) -> Action | None:
    """By its name, `-` for `_`."""
    wanted = name.strip().lower().replace("-", "_")
    return next((one for one in ACTIONS if one.name == wanted), None)


def names() -> Iterable[str]:
    """For completion."""
    return (one.name.replace("_", "-") for one in ACTIONS)


def key_of(action: Action) -> str:
    """As people read it."""
    return action.display or action.keys
