"""Every message of the screen: what threads have read, what widgets tell their screen, what a screen asks the app to open.

Handlers name the class: `@on(messages.SnapshotRead)`. A newer reading replaces one that nobody has dealt with yet. No message is
compared or printed: what a dataclass makes for that would come before the first paint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text
    from textual.widget import Widget

    from luasprocs.state.executions import Execution
    from luasprocs.state.jobs import JobRecord
    from luasprocs_tui.values.about import About
    from luasprocs_tui.values.places import Place
    from luasprocs_tui.values.replays import Compared
    from luasprocs_tui.values.snapshots import Batch, Snapshot

T = TypeVar("T")


class Replaceable(Message, bubble=False):
    """The later of two makes the earlier one pointless."""

    def can_replace(self, message: Message) -> bool:
        """Whether a message that came later takes the place of this one."""
        return type(message) is type(self)


# What was read in a thread; to the app, or to the screen that shows it.


@dataclass(eq=False, repr=False)
class SnapshotRead(Replaceable, bubble=False):
    """The registry was read."""

    snapshot: Snapshot


@dataclass(eq=False, repr=False)
class DataRead(Replaceable, Generic[T], bubble=False):
    """What a screen shows was read: all of it."""

    found: T


@dataclass(eq=False, repr=False)
class RecordsRead(Message, bubble=False):
    """Records came, perhaps none. They stand behind those before, so none is replaced."""

    batch: Batch


@dataclass(eq=False, repr=False)
class SourceRead(Replaceable, bubble=False):
    """A sproc's source was read, as safe lines. `place`: the sproc and the line that it was read for."""

    lines: Sequence[Text]
    commit: str
    place: Place = ("", 0)


@dataclass(eq=False, repr=False)
class AboutRead(Replaceable, bubble=False):
    """What the panels show was read, with the source as safe lines."""

    about: About
    lines: Sequence[Text]


@dataclass(eq=False, repr=False)
class ReplayRead(Replaceable, bubble=False):
    """A record was run again."""

    found: Compared


@dataclass(eq=False, repr=False)
class ReadFailed(Replaceable, bubble=False):
    """Nothing could be read, and why."""

    reason: str


# What a table tells its screen.


@dataclass(eq=False, repr=False)
class TableMessage(Message):
    """Of one table, which `@on(…, "#id")` can name."""

    table: Widget

    @property
    def control(self) -> Widget:
        return self.table


@dataclass(eq=False, repr=False)
class RowOpened(TableMessage):
    """A row was opened, by key or by a second click."""

    key: str


@dataclass(eq=False, repr=False)
class CursorMoved(TableMessage):
    """The cursor stands on another row, or on none."""

    key: str | None

    def can_replace(self, message: Message) -> bool:
        """Only the last row counts."""
        return isinstance(message, CursorMoved) and message.table is self.table


@dataclass(eq=False, repr=False)
class HeadClicked(TableMessage):
    """The head of a column was clicked."""

    column: int


# What a screen asks the app to open.


class Open(Message):
    """A screen."""


@dataclass(eq=False, repr=False)
class OpenSource(Open):
    """A sproc's source, at a line if one is given (from 1)."""

    sproc: str
    line: int = 0


@dataclass(eq=False, repr=False)
class OpenReplay(Open):
    """Runs a record again on a throw-away server."""

    record: Execution


@dataclass(eq=False, repr=False)
class OpenRecord(Open):
    """A record. `chain`: records of the same origin."""

    record: Execution
    chain: Sequence[Execution]


@dataclass(eq=False, repr=False)
class OpenOf(Open):
    """A screen of one sproc, or (`sproc` is "") of all."""

    sproc: str


class OpenExecutions(OpenOf):
    """The executions as they come."""


class OpenHistory(OpenOf):
    """The generations."""


class OpenWanted(OpenOf):
    """Compares what git wants with what is live."""


class OpenRibbon(OpenOf):
    """A day's runs, errors and generations."""


class OpenStats(OpenOf):
    """What is counted of a sproc."""


class OpenSchedules(Open):
    """The schedules."""


class OpenJobs(Open):
    """The async runs, those together that say the same."""


@dataclass(eq=False, repr=False)
class OpenEachJob(Open):
    """Each of them. `alike`: one of those that say the same as this one; None: of all."""

    alike: JobRecord | None = None


class OpenFailures(Open):
    """The executions that failed."""


@dataclass(eq=False, repr=False)
class OpenFindings(Open):
    """All that is wrong. `at`: the row to stand on."""

    at: str = ""


@dataclass(eq=False, repr=False)
class OpenList(Message):
    """The list, filtered. `row`: of the findings, to go back to."""

    wanted: str
    row: str


class OpenDaemons(Open):
    """The daemons."""


class OpenOutages(Open):
    """Times in which nobody heard."""


class OpenShards(Open):
    """The shards of a cluster."""
