"""Every action of the screens in one table: bindings, the palette, the `:` commands, the help and docs/screen.md come from it.

`pause` is the method `action_pause`: of `TuiApp` with `app=True`, else of the screens that have it. A test finds each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Action(NamedTuple):
    """`name`: of its `:` command; the method is `action_NAME`, of the screen or (`app`) of `TuiApp`.

    `keys`: "" for one that is only a command; `where`: screens, `views` for all of them, or `everywhere`; `writes`: it changes
    something in Redis, and is off with --read-only; `shown`: stands in the footer; `shown_at`: of these screens, among what is
    done there, whatever `shown` says; `takes`: what may stand behind the command;
    `also`: other names of the command; `always`: its key does it in dialogs, too; `moves`: it leads to another place.
    """

    name: str
    keys: str
    label: str
    says: str
    where: tuple[str, ...]
    writes: bool = False
    shown: bool = True
    shown_at: tuple[str, ...] = ()
    display: str | None = None
    takes: str = ""
    app: bool = False
    also: tuple[str, ...] = ()
    always: bool = False
    moves: bool = False

    @property
    def kind(self) -> str:
        """LOOK, MOVE or CHANGE: how the help sorts it."""
        return CHANGE if self.writes else MOVE if self.moves or self.where == _VIEWS else LOOK

    @property
    def command(self) -> str:
        """As it is typed behind `:`."""
        return self.name.replace("_", "-")

    @property
    def target(self) -> str:
        """As a binding names it: of the screen that has the binding, or of the app."""
        return f"app.{self.name}" if self.app else self.name


LOOK, MOVE, CHANGE = "look", "move", "change"
CHANGES = "∆"
"""The sign of what changes something, in the footer and in the help."""
SCREENS = (
    *("sprocs", "source", "executions", "record", "stats", "cron", "jobs", "history", "wanted"),
    *("findings", "daemons", "outages", "shards", "replay", "ribbon"),
)
_VIEWS = ("views",)
"""On each of these screens: each view is one key away from each."""
_TABLES = ("cron", "jobs", "history", "findings", "daemons", "outages", "shards")
_LISTS = ("sprocs", "executions", *_TABLES)
_MARKED = ("sprocs", "cron", "jobs")
_ONE = ("sprocs", "source", "replay")
_CALL = "[NAME [--key K]… [ARG]…]"

ACTIONS = (
    Action("filter", "slash", "Filter", "Shows only what matches.", _LISTS, display="/", takes="TEXT"),
    Action("find", "f", "Find", "Jumps to a match and keeps the other rows.", ("executions",), takes="TEXT", moves=True),
    Action("next_match", "n", "Next", "Goes to the next match.", ("executions",), shown=False, moves=True),
    Action("previous_match", "N", "Previous", "Goes to the match before.", ("executions",), shown=False, moves=True),
    Action("each", "a", "Each", "Shows each run, or one line for those that say the same.", ("executions", "jobs")),
    Action("mark", "space", "Mark", "Marks the row; actions apply to all marked ones.", _MARKED, shown=False),
    Action("mark_all", "asterisk", "Mark all", "Marks all that the filter shows, or none.",
           ("cron", "jobs"), shown=False, display="*"),
    Action("all", "a", "All", "Opens the quiet sprocs, or folds them into one line.", ("sprocs",), shown=False),
    Action("whole", "z", "Whole", "Gives the panel all the room, or takes it back.", ("sprocs",), shown=False),
    Action("tree", "T", "Tree", "Shows names as folders, or flat.", ("sprocs",), shown=False),
    Action("sort", "o", "Sort", "Asks by which column to sort, and remembers it.",
           ("sprocs", *_TABLES), shown=False, takes="[COLUMN]"),
    Action("reverse", "O", "Reverse", "Sorts the other way round.", ("sprocs", *_TABLES), shown=False),
    Action("executions", "x", "Executions", "Follows the runs.", _VIEWS),
    Action("stats", "i", "Stats", "Shows its runs per second, errors and durations.",
           ("sprocs", "source", "cron"), shown=False, moves=True),
    Action("cron", "c", "Cron", "Lists schedules and their countdowns.", _VIEWS),
    Action("jobs", "J", "Jobs", "Lists async jobs: running, waiting, dead.", _VIEWS),
    Action("findings", "exclamation_mark", "Trouble", "Lists all that is wrong, and leads there.", _VIEWS, display="!"),
    Action("failures", "F", "Failures", "Follows the runs that failed.", _VIEWS, shown=False),
    Action("daemons", "D", "Daemons", "Lists the daemons: lag, last seen, since when.", _VIEWS, shown=False),
    Action("outages", "U", "Outages", "Lists times in which nobody heard.", _VIEWS, shown=False),
    Action("shards", "H", "Shards", "Lists the shards of a cluster.", _VIEWS, shown=False),
    Action("ribbon", "W", "Since when", "Shows errors by the minute, an hour to a day, and which generation they began with.",
           _VIEWS, shown=False, shown_at=("sprocs", "source", "stats", "executions", "record", "findings")),
    Action("history", "h", "History", "Lists generations, to roll back to one.", _VIEWS),
    Action("wanted", "v", "Git", "Compares what git wants with what is live.", _VIEWS, shown=False, also=("git",)),
    Action("execute", "R", "Run", "Runs it, and shows the reply.", (*_ONE, "record"), writes=True, takes=_CALL, also=("run",)),
    Action("pause", "p", "Pause", "Stops its triggers, or starts them again.", (*_ONE, "cron"), writes=True),
    Action("edit", "e", "Edit", "Edits its header live; a daemon commits it.", _ONE, writes=True),
    Action("edit_source", "E", "Editor", "Opens its source in $EDITOR.", ("sprocs", "source"), writes=True, shown=False),
    Action("draft", "E", "Draft", "Opens its source in $EDITOR, and runs what you write here, before it is live.",
           ("replay",), writes=True),
    Action("apply", "a", "Apply", "Makes your draft live; a daemon commits it.", ("replay",), writes=True),
    Action("undo", "u", "Undo", "Undoes a live edit, or reverts the last commit of it.", _ONE, writes=True, shown=False),
    Action("replay", "t", "Replay", "Runs it again on a throw-away server, as of then and as of now.",
           ("record",), moves=True),
    Action("again", "t", "Again", "Runs it once more.", ("replay",)),
    Action("source", "s", "Source", "Opens the sproc at the line of the error.", ("record",), moves=True),
    Action("retry", "t", "Retry", "Runs a dead job again, or a delayed one now.", ("jobs",), writes=True),
    Action("drop", "d", "Drop", "Deletes a job that is not running.", ("jobs",), writes=True),
    Action("acknowledge", "A", "Acknowledge", "Takes note of gaps and missed times: they are findings no more.",
           ("outages", "findings"), writes=True),
    Action("roll_back", "b", "Roll back", "Makes this generation live again.", ("history",), writes=True),
    Action("way_back", "b", "Roll back", "Shows what goes back, and makes the generation before the chosen one live.",
           ("ribbon",), writes=True),
    Action("earlier", "left", "Earlier", "Goes to the generation before.", ("ribbon",), display="←"),
    Action("later", "right", "Later", "Goes to the generation behind.", ("ribbon",), display="→"),
    Action("longer", "plus", "More time", "Shows more time: an hour to a day.", ("ribbon",), display="+"),
    Action("shorter", "minus", "Less time", "Shows less time.", ("ribbon",), display="-"),
    Action("everyone", "a", "All or one", "Shows all sprocs, or the one again.", ("ribbon",)),
    Action("sync", "s", "Sync", "Shows what waits, asks a daemon to sync; lifts a pin.",
           ("sprocs", "history"), writes=True, shown=False),
    Action("suspend", "S", "Suspend", "Suspends syncs, or allows them again.", ("sprocs", "history"), writes=True, shown=False),
    Action("ctx", "C", "Context", "Switches to another context.",
           ("sprocs",), takes="[NAME]", shown=False, app=True, moves=True),
    Action("theme", "", "Theme", "Sets the colours: dark, light or contrast.", ("everywhere",), takes="[NAME]", app=True),
    Action("zone", "Z", "Zone", "Shows times in UTC, or in this machine's zone, and remembers it.",
           ("everywhere",), takes="[NAME]", shown=False, app=True),
    Action("copy", "y", "Copy", "Copies the row, or the text, to the clipboard of the terminal (OSC 52).",
           ("everywhere",), shown=False, app=True),
    Action("export", "w", "Export", "Writes all that is listed, or the text, to a file.",
           ("everywhere",), shown=False, app=True),
    Action("refresh_now", "r", "Refresh", "Refreshes everything now.", ("everywhere",), shown=False, app=True),
    Action("command", "colon", "Command", "Runs any action by its name.",
           ("everywhere",), shown=False, display=":", app=True),
    Action("help", "question_mark", "Help", "Lists the keys of this screen.", ("everywhere",), display="?", app=True),
    Action("background", "ctrl+z", "Background", "Goes to the background; the shell's fg brings it back.",
           ("everywhere",), shown=False, app=True, always=True, moves=True),
    Action("quit", "q", "Quit", "Leaves.", ("everywhere",), app=True, also=("q", "q!", "exit"), moves=True),
)  # fmt: skip
MOVES = (
    ("up", "up,k", "move(-1)", "one line up"),
    ("down", "down,j", "move(1)", "one line down"),
    ("half_up", "ctrl+u", "page(-0.5)", "half a page up"),
    ("half_down", "ctrl+d", "page(0.5)", "half a page down"),
    ("page_up", "pageup,ctrl+b", "page(-1)", "a page up"),
    ("page_down", "pagedown,ctrl+f", "page(1)", "a page down"),
    ("first", "home,g", "end(-1)", "to the beginning"),
    ("last", "end,G", "end(1)", "to the end"),
)
"""What moves in every list, text and dialog: name, keys, the widget's action, and what it says."""
ANYWHERE = frozenset({one.name for one in ACTIONS if one.where == _VIEWS} | {"execute", "sync", "suspend", "ctx"})
"""Commands that need no row under the cursor: they can be typed on any screen."""
_NAMES = {"/": "slash", "?": "question_mark", ":": "colon", " ": "space"}


def bindings(where: str) -> list[Binding]:
    """Those of one screen, or of the app (`everywhere`)."""
    return [
        Binding(
            one.keys,
            one.target,
            one.label,
            show=one.shown or where in one.shown_at,
            key_display=one.display,
            id=f"{where}.{one.name}",
            priority=one.always,
        )
        for one in ACTIONS
        if where in places_of(one) and one.keys
    ]


def places_of(action: Action) -> tuple[str, ...]:
    """The screens that have it, or `everywhere`."""
    return SCREENS if action.where == _VIEWS else action.where


def moves(where: str) -> list[Binding]:
    """Those of one kind of widget, which has `action_move`, `action_page` and `action_end`."""
    return [Binding(keys, action, says, show=False, id=f"{where}.{name}") for name, keys, action, says in MOVES]


def footer_rank(target: str) -> int:
    """What is done here stands first, of that what is done only at replays, as these have much; then what leads to more of it,
    then views that each screen has, then what is everywhere.
    """
    action = of(target.removeprefix("app."))
    if action is None or (action.where != _VIEWS and not action.app):
        return -1 if action is not None and action.where == ("replay",) else 0
    return 3 if action.app else 1 if action.shown_at else 2


def of(name: str) -> Action | None:
    """By its name, `-` for `_`, or by another name that it has."""
    wanted = name.strip().lower().replace("-", "_")
    return next((one for one in ACTIONS if wanted in {one.name, *one.also}), None)


def here(screen: str) -> Iterator[Action]:
    """What can be done on a screen."""
    return (one for one in ACTIONS if {screen, "everywhere"} & set(places_of(one)))


def commands(screen: str) -> list[str]:
    """Names of what can be typed on a screen."""
    can = [one for one in ACTIONS if one.name in ANYWHERE or {screen, "everywhere"} & set(one.where)]
    return [one.command for one in can]


def names() -> Iterable[str]:
    return (one.command for one in ACTIONS)


def key_of(action: Action, keys: Mapping[str, str] | None = None) -> str:
    """As people read it; `keys`: what a user has set."""
    own = (keys or {}).get(action.name)
    return own or action.display or action.keys


def keymap(keys: Mapping[str, str]) -> dict[str, str]:
    """What a user has set, for each binding."""
    return {f"{where}.{name}": given for name, given in keys.items() for where in places_of(_action(name))}


def clash(keys: Mapping[str, str]) -> str:
    """Why keys can't be so: two actions of one screen have the same; or ""."""
    for screen in SCREENS:
        taken: dict[str, str] = {}
        for action in here(screen):
            for key in (keys.get(action.name) or action.keys).split(","):
                known = _NAMES.get(key, key)
                if known and known in taken:
                    return f"{taken[known]} and {action.name} both have {key!r} in {screen}"
                taken[known] = action.name
    return ""


def _action(name: str) -> Action:
    return next(one for one in ACTIONS if one.name == name)
