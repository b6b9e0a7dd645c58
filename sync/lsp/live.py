"""The registry behind the work tree, as the editor's event loop has it: what was seen last, and whom to ask."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol import types

from sync.execution_lines import record_json
from sync.git.config import run_git
from sync.lsp.connecting import Connected, Connecting
from sync.lsp.errands import Errands, asked
from sync.lsp.failures import failed
from sync.lsp.looks import Look, Lookout, unchanged
from sync.lsp.tails import ExecutionsThread
from sync.lsp.texts import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from luasprocs.operations.key_count import KeyCount
    from luasprocs.state.executions import Execution
    from sync.lsp.protocol import PatientServer
    from sync.lsp.texts import Texts

_Done = TypeVar("_Done")

LOOK_WITHIN_S, ASK_WITHIN_S = 3.0, 10.0
SHOWN_S = 120.0
"""So long after it was asked for a glob is counted again and again."""
BEGIN_WITHIN_S = 1.0
NO_ANSWER_S = 30.0
"""A client that has not answered a refresh for so long has forgotten it."""


class LiveData:
    """Of the first work tree that is opened. Nothing here waits for Redis but `ask`, which is awaited."""

    def __init__(self, server: PatientServer, flags: Mapping[str, object], context: str) -> None:
        self.look = Look()
        self.top: Path | None = None
        self._server, self._flags, self._context = server, flags, context
        self._asking: Connecting | None = None
        self._looking: Connecting | None = None
        self._lookout: Lookout | None = None
        self._redis, self._git = Errands("luasprocs-requests"), Errands("luasprocs-git")
        self._executions: ExecutionsThread | None = None
        self._globs: dict[str, float] = {}
        self._refreshes: dict[str, tuple[float, Any]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, top: Path) -> None:
        """Looks from now on at the registry of a work tree; of the first one alone."""
        if self.top is not None:
            return
        self.top, self._loop = top, asyncio.get_running_loop()
        made = partial(Connecting, self._flags, top, self._context, self._warn)
        self._asking, self._looking = made(within_s=ASK_WITHIN_S), made(within_s=LOOK_WITHIN_S)
        self._lookout = Lookout(self._looking, lambda look: self._in_loop(self._see, look))
        self._lookout.start()

    def end(self) -> None:
        """Stops the threads; those that wait for a server end with the process."""
        if self._lookout:
            self._lookout.end()
        self._tail(on=False)

    async def ask(self, act: Callable[[Connected], _Done]) -> _Done:
        """What `act` finds in the registry, in a thread.

        Raises:
            JsonRpcException: it failed.
        """
        if self._asking is None:
            raise failed("not_connected", "no folder with sprocs is open")
        return await self._redis.run(partial(asked, self._asking, act))

    def changed(self) -> None:
        """Something was changed through here: everything is looked at again."""
        if self._lookout:
            self._lookout.look_whole()

    def shows(self, names: Sequence[str]) -> None:
        """These sprocs are open in the editor."""
        if self._lookout and names != self._lookout.names:
            self._lookout.names = names
            self._lookout.look_soon()

    def count(self, glob: str) -> KeyCount | None:
        """How many keys a glob matches, if that is known; if not, it will be."""
        known = self.look.keys.get(glob)
        self._globs[glob] = time.monotonic()
        if self._lookout:
            self._globs = {one: at for one, at in self._globs.items() if self._globs[glob] - at < SHOWN_S}
            self._lookout.globs = list(self._globs)
            if known is None and self.look.snapshot:
                self._lookout.look_soon()
        return known

    def remember_head(self, texts: Texts, path: Path) -> None:
        """Finds what git's HEAD has of a file that was just opened."""

        async def remember() -> None:
            with contextlib.suppress(Exception):  # without git, the text that was opened counts
                texts.head = await self._git.run(partial(_head, path))

        task = asyncio.get_running_loop().create_task(remember())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def heads_known(self) -> None:
        """Waits for what `remember_head` was asked before."""
        await asyncio.gather(*self._tasks)

    async def tail(self, *, on: bool) -> None:
        """Tells executions as they come, or no more; waits for the beginning, but not long."""
        self._tail(on=on)
        if self._executions:
            began = self._executions.began.wait
            await asyncio.get_running_loop().run_in_executor(None, began, BEGIN_WITHIN_S)

    def _tail(self, *, on: bool) -> None:
        if self._executions:
            self._executions.end()
            self._executions = None
        if on and self._looking:
            self._executions = ExecutionsThread(self._looking, partial(self._in_loop, self._tell_executions))
            self._executions.start()

    def _tell_executions(self, records: Sequence[Execution], dropped: int) -> None:
        told = [record_json(one) for one in records]
        self._server.protocol.notify("luasprocs/executions", {"records": told, "dropped": dropped})

    def _see(self, look: Look) -> None:
        before, self.look = self.look, look
        if self._asking and before.context != look.context:  # the settings lead elsewhere now
            self._asking.forget()
        if look.error and not before.error:
            self._server.log(types.MessageType.Warning, f"luasprocs: no live data: {look.error}")
        state = look.state()
        if state != before.state() or before.context is None:
            self._server.protocol.notify("luasprocs/stateChanged", state)
        if not unchanged(before, look):
            self._server.protocol.notify("luasprocs/sprocsChanged", {})
            self._refresh("codeLens")
        elif look.stats != before.stats:
            self._refresh("codeLens")
        if look.keys != before.keys:
            self._refresh("inlayHint")

    def _refresh(self, what: str) -> None:
        """Asks the client to ask again, one time after the other."""
        workspace = self._server.client_capabilities.workspace
        able = workspace and {"codeLens": workspace.code_lens, "inlayHint": workspace.inlay_hint}[what]
        if not able or not able.refresh_support:
            return
        at_s, pending = self._refreshes.get(what, (0.0, None))
        if pending is not None and not pending.done() and time.monotonic() - at_s < NO_ANSWER_S:
            return
        sent = self._server.protocol.send_request(f"workspace/{what}/refresh")
        self._refreshes[what] = time.monotonic(), sent

    def _warn(self, said: str) -> None:
        self._in_loop(self._server.log, types.MessageType.Warning, f"luasprocs: {said}")

    def _in_loop(self, act: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended
            if self._loop:
                self._loop.call_soon_threadsafe(act, *arguments)


def _head(path: Path) -> Head:
    found = run_git(path.parent, "cat-file", "blob", f"HEAD:./{path.name}")
    if found.returncode == 0:
        return Head(found.stdout, known=True)
    return Head(known=run_git(path.parent, "rev-parse", "--quiet", "--verify", "HEAD").returncode == 0)
