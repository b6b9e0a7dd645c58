"""What all screens have: the header that follows the app's state, and the actions that each of them can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text

from luasprocs_tui import actions, messages
from luasprocs_tui.screens.low_repaint import LowRepaintScreen
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.sheets import as_json
from luasprocs_tui.widgets.keys import KeyLine
from luasprocs_tui.widgets.status import Status
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from textual import events

    from luasprocs_tui.connection import Connection
    from luasprocs_tui.controller.controller import Controller
    from luasprocs_tui.shell import Shell
    from luasprocs_tui.values.snapshots import State


class BaseScreen(LowRepaintScreen):
    """Its actions can be typed as commands on every screen. What it opens, it asks the app for."""

    PLACE: ClassVar[str]
    """Its name in the table of actions."""

    @property
    def shell(self) -> Shell:
        """The app that has this screen."""
        return cast("Shell", self.app)

    @property
    def controller(self) -> Controller:
        """What can be done to the registry that is shown."""
        return self.shell.controller

    @property
    def heading(self) -> str:
        """Its name, as it stands in the title."""
        return self.PLACE.capitalize()

    def shows_the_same(self, other: BaseScreen) -> bool:
        """Whether the other one need not be opened from here."""
        return type(self) is type(other) and self.heading == other.heading

    @property
    def way(self) -> Text:
        """The screens that this one was opened from, as they stand before its heading."""
        stack = self.app.screen_stack
        above = stack[: stack.index(self)] if self in stack else []
        each = [clean(one.heading, 40) for one in above if isinstance(one, BaseScreen)]
        return Text("".join(f"{one} > " for one in each), "dim")

    def show_again(self) -> None:
        """Draws what it shows as it is said now."""
        self.read_again()
        for table in self.query(Table):
            table.refresh()

    @property
    def sprocs(self) -> tuple[str, ...]:
        """The sprocs that an action means: those marked, of the screen, or under its cursor."""
        return ()

    @property
    def subject(self) -> str:
        """The sproc whose own screen this is: what is opened from here is of that one. "" for none."""
        return "".join(self.sprocs[:1])

    @property
    def some_sprocs(self) -> tuple[str, ...]:
        """The sprocs that an action means which is done to some; that there are none is said."""
        if not self.sprocs:
            self.shell.toast("no sproc is selected")
        return self.sprocs

    @property
    def one_sproc(self) -> str:
        """The sproc that an action means which is done to one; "" for none, and for several, which is said."""
        names = self.some_sprocs
        if len(names) > 1:
            self.shell.toast(
                f"{len(names)} sprocs are marked, but this applies to one (esc clears the marks)", bad=True
            )
        return names[0] if len(names) == 1 else ""

    def on_mount(self) -> None:
        """Follows the app's state."""
        self.watch(self.shell, "state", self.show_state)

    def show_state(self, state: State) -> None:
        self.query_one(Status).show(state)

    def start(self, connection: Connection) -> None:
        """Begins to read what it shows, once it is opened."""

    def read_again(self) -> None:
        """Reads what it shows again now."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What writes is greyed out with --read-only."""
        found = actions.of(action)
        if found is not None and found.writes and self.shell.read_only:
            return None
        return super().check_action(action, parameters)

    def on_key(self, event: events.Key) -> None:
        """A key that changes something says why it doesn't, where nothing may be changed. (All bindings: not for every key.)"""
        if not self.shell.read_only:
            return
        bound = self.active_bindings.get(event.key)
        if bound is None or bound.enabled:
            return
        found = actions.of(bound.binding.action)
        if found is not None and found.writes:
            self.shell.toast(
                f"{self.app.get_key_display(bound.binding)} ({found.label}): {self.shell.why_read_only}", bad=True
            )

    def copied(self) -> str:
        """What `y` copies: the names of the sprocs that an action means, or else the row under the cursor."""
        if self.sprocs:
            return "\n".join(self.sprocs)
        table = next(iter(self.query(Table)), None)
        if table is None or table.selected is None:
            return ""
        return "\n".join("\t".join(row.values()) for row in table.sheet(table.selected))

    def exported(self) -> tuple[str, str]:
        """What `w` writes: the part of the file's name that says what, and the text."""
        table = next(iter(self.query(Table)), None)
        return f"{self.PLACE}.json", as_json(table.sheet()) if table is not None else ""

    def action_back(self) -> None:
        """Leaves for the screen that it was opened from."""
        self.app.pop_screen()

    def action_executions(self) -> None:
        """Opens the executions: of one sproc from its own screens."""
        self.post_message(messages.OpenExecutions(self.subject))

    def action_cron(self) -> None:
        self.post_message(messages.OpenSchedules())

    def action_jobs(self) -> None:
        self.post_message(messages.OpenJobs())

    def action_failures(self) -> None:
        self.post_message(messages.OpenFailures())

    def action_findings(self) -> None:
        self.post_message(messages.OpenFindings())

    def action_daemons(self) -> None:
        self.post_message(messages.OpenDaemons())

    def action_outages(self) -> None:
        self.post_message(messages.OpenOutages())

    def action_shards(self) -> None:
        self.post_message(messages.OpenShards())

    def action_history(self) -> None:
        """Opens the generations: those of one sproc from its own screens."""
        self.post_message(messages.OpenHistory(self.subject))

    def action_ribbon(self) -> None:
        """Opens the day of the sproc that is meant, else that of all."""
        self.post_message(messages.OpenRibbon("".join(self.sprocs[:1])))

    def action_wanted(self) -> None:
        """Opens what git wants: of one sproc from its own screens."""
        self.post_message(messages.OpenWanted(self.subject))

    def action_execute(self, typed: str = "") -> None:
        """Runs what was typed behind the command; else asks for keys and arguments, and runs what is meant."""
        if typed:
            self.controller.runs.typed(typed)
        elif name := self.one_sproc:
            self.controller.runs.ask(name)

    def action_sync(self) -> None:
        self.controller.sync()

    def action_suspend(self) -> None:
        self.controller.toggle_suspend()


class Acknowledging(BaseScreen):
    """A screen that lists gaps and missed times."""

    def action_acknowledge(self) -> None:
        self.controller.acknowledge()


class SprocActions(BaseScreen):
    """A screen that has sprocs."""

    def label_keys(self, *states: str) -> None:
        """Says what keys do to sprocs in these states; what undoes an edit comes first."""
        resumes = {"pause": "Resume"} if set(states) == {"paused"} else {}
        self.query_one(KeyLine).relabel(resumes | ({"undo": "Undo"} if "edited" in states else {}))

    def action_stats(self) -> None:
        if names := self.some_sprocs:
            self.post_message(messages.OpenStats(names[0]))

    def action_pause(self) -> None:
        self.controller.toggle_pause(self.some_sprocs)

    def action_edit(self) -> None:
        if name := self.one_sproc:
            self.controller.edits.header(name)

    def action_edit_source(self) -> None:
        if name := self.one_sproc:
            self.controller.edits.source(name)

    def action_undo(self) -> None:
        self.controller.undo(self.some_sprocs)
