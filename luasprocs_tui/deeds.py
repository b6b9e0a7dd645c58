"""What the screen does to Redis: each deed answers a sentence. Blocking; called in worker threads. Knows no widget."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw
from luasprocs.contract.refusals import Refusal
from luasprocs.errors import EditConflictError, JobError, LuasprocsError, RegistryError, ServerUnreachableError
from luasprocs.registry import edits as editing
from luasprocs.registry.live import read_sprocs
from luasprocs.server.connection import errors_named
from luasprocs.server.registry import Registry
from luasprocs.server.script_errors import refusal, script_error
from luasprocs.state import jobs
from luasprocs.state import requests as control
from luasprocs.state.desired import read_suspended, suspend, unsuspend
from luasprocs.state.paused import pause, read_paused, resume
from luasprocs_tui import texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from luasprocs.language.sproc import Sproc

ANSWER_WITHIN_S = 15.0


class UnknownError(LuasprocsError):
    """The connection broke: whether it was done nobody knows, and it is not done again."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A sproc has changed since it was opened: nothing was done. `text`: both, as a diff; `again`: applies it all the same."""

    name: str
    text: str
    again: Callable[[], str | Conflict]


def whoami() -> str:
    """As git would name who edits, else user@host."""
    name, mail = os.environ.get("GIT_AUTHOR_NAME", ""), os.environ.get("GIT_AUTHOR_EMAIL", "")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{name} <{mail}>" if name and mail else f"{user}@{socket.gethostname()}"


class Deeds:
    """On one registry. Every method raises LuasprocsError where it could not, UnknownError where it may have."""

    def __init__(self, registry: Registry, shown: str) -> None:
        self._registry, self._shown = registry, shown

    def toggle_pause(self, names: Sequence[str]) -> str:
        """Pauses those that aren't paused; if all are, resumes them."""
        with _known(self._registry.client, self._shown):
            runs = sorted(set(names) - set(read_paused(self._registry)))
            (pause if runs else resume)(self._registry, runs or list(names))
        return f"{listed(runs or names)} {_are(runs, 'is paused', 'are paused') if runs else _are(names, 'goes on', 'go on')}"

    def run(self, name: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        """Runs a sproc, recorded. Its reply; of an async one the job's id."""
        head = (len(keys), *map(raw, keys), raw(name))
        with _known(self._registry.client, self._shown):
            try:
                return self._fcall("run", *head, raw(whoami()), *map(raw, args))
            except ResponseError as error:
                if refusal(error) is not Refusal.ASYNC:
                    raise script_error(error) from error
            return self._fcall("enqueue", *head, raw(whoami()), 1, *map(raw, args))

    def edit(self, sproc: Sproc, changes: Mapping[str, str | None]) -> str | Conflict:
        """Edits its header live."""

        def act(base: Sproc) -> None:
            editing.edit_metadata(self._registry, base.name, changes, base=base.blob, by=whoami())

        return self._edit(sproc, act, partial(texts.header_conflict, sproc, changes))

    def edit_source(self, sproc: Sproc, source: bytes) -> str | Conflict:
        """Edits all of it."""
        if source == sproc.source:
            return "nothing was changed"

        def act(base: Sproc) -> None:
            editing.edit(self._registry, base.name, source, base=base.blob, by=whoami())

        return self._edit(sproc, act, partial(texts.source_conflict, source))

    def _edit(self, base: Sproc, act: Callable[[Sproc], None], said: Callable[[Sproc], str]) -> str | Conflict:
        with _known(self._registry.client, self._shown):
            try:
                act(base)
            except EditConflictError:
                current = read_sprocs(self._registry, [base.name])
                if not current:
                    raise
                return Conflict(base.name, said(current[0]), partial(self._edit, current[0], act, said))
        return f"{base.name} is edited live"

    def undo(self, names: Sequence[str]) -> str:
        """Takes live edits back, one by one: the first that can't be ends it."""
        with _known(self._registry.client, self._shown):
            for name in names:
                editing.undo(self._registry, name, by=whoami())
        return f"{listed(names)} {_are(names, 'is', 'are')} as git has {_are(names, 'it', 'them')} again"

    def retry(self, job_id: str) -> str:
        """Runs a job again."""
        return self._job("retry", job_id, "is to run again")

    def drop(self, job_id: str) -> str:
        """Forgets it."""
        return self._job("drop", job_id, "is dropped")

    def ask(self, action: str, **arguments: str) -> str:
        """Asks the daemons that sync, and waits for the answer."""
        with _known(self._registry.client, self._shown):
            asked = control.request(self._registry, action, whoami(), **arguments)
            answer = control.wait_for_answer(self._registry, asked, ANSWER_WITHIN_S)
        if answer is None:
            raise UnknownError(f"no daemon has answered within {ANSWER_WITHIN_S:.0f} s: does one sync here?")
        if not answer.ok:
            raise RegistryError(answer.text)
        return answer.text

    def toggle_suspend(self) -> str:
        """Suspends syncs, or lets them go on."""
        with _known(self._registry.client, self._shown):
            if read_suspended(self._registry):
                unsuspend(self._registry)
                return "syncs apply again"
            suspend(self._registry, whoami())
        return "syncs are suspended"

    def _job(self, action: Literal["retry", "drop"], job_id: str, done: str) -> str:
        with _known(self._registry.client, self._shown):
            ((_, was),) = jobs.act(self._registry, action, [job_id])
            if isinstance(was, JobError):
                raise was
        return f"{job_id} was {was} and {done}"

    def _fcall(self, function: str, *words: Any) -> Any:
        return self._registry.client.execute_command("FCALL", self._registry.keys.function(function), *words)


def listed(names: Sequence[str]) -> str:
    """Some names in a sentence."""
    return names[0] if len(names) == 1 else f"{len(names)} sprocs"


def _are(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several


class _known:  # noqa: N801  # a context, read as a word
    """Inside, a connection that breaks is an unknown outcome; where there was none to begin with, nothing was done."""

    def __init__(self, client: Redis, shown: str) -> None:
        self._client, self._shown = client, shown
        self._named = errors_named(shown)

    def __enter__(self) -> None:
        with errors_named(self._shown):
            pool = self._client.connection_pool
            pool.release(pool.get_connection())
        self._named.__enter__()

    def __exit__(self, *about: Any) -> bool | None:
        try:
            return self._named.__exit__(*about)
        except ServerUnreachableError as error:
            raise UnknownError(f"unknown whether it was done, look before you repeat it: {error}") from error
