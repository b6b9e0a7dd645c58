"""Starts what a launch configuration asks for: the server, the sprocs around a file, the run."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Trigger
from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import ProblemsError, RepositoryError, ScriptError, SettingsError
from luasprocs.language.compiler import syntax_problems
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.urls import redacted
from sync.debugger.backend.boot import ARGUMENTS, script_of, words_of
from sync.debugger.backend.ldb import Ldb
from sync.debugger.backend.ldb_session import LdbSession
from sync.debugger.backend.program import Program, reached
from sync.debugger.backend.run import run_of, run_of_record
from sync.debugger.servers import FOLDER, remove_left, restore, server_of
from sync.git.checkout import find_top, settings_of
from sync.reconcile.check import work_tree_sprocs
from sync.settings import host_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.worker.confinement import Rules
    from sync.debugger.backend.breakpoints import Breakpoints
    from sync.debugger.backend.run import Run
    from sync.debugger.backend.session import DebugSession, Say
    from sync.debugger.configuration import Configuration


WHOLE_BYTES = 1_000_000
"""Of a work tree with more source, a session has only what the debugged sproc names: the server's debugger takes 1.7 MB."""
EXACT_BYTES = 100_000
"""In so much source all locals can be read (80 ms); in more those of what the debugged sproc names."""


class Launched:
    """A session that has not started, and what it needs. `close` ends all of it, and may be called from any thread."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        file = configuration.program
        try:
            is_file = file.is_file()
        except OSError as error:  # a name that is too long
            raise RepositoryError(f"{error.strerror}: {str(file)[:200]}…") from error
        if not is_file:
            raise RepositoryError(f"there is no file {file}")
        name, sprocs = work_tree_sprocs(file)
        own = next(one for one in sprocs if one.name == name)
        if problems := syntax_problems(str(file), own.source):
            raise ProblemsError(problems)
        if own.library:
            raise SettingsError(
                f"{name} is library=yes: debug a sproc that requires it, with breakpoints in the library"
            )
        self.sproc = own
        self._server = server_of(configuration)
        record = self._server.record(configuration.execution) if configuration.execution else None
        if record and record.sproc != name:
            raise SettingsError(f"the execution {record.id} is of {record.sproc or 'no sproc'}, not of {name}")
        self._seeds = self._server.seeds(record, configuration.keys) if record else ()
        whole = sum(len(one.source) for one in sprocs) <= WHOLE_BYTES
        there, sprocs = sprocs, sprocs if whole else reached(own, sprocs)
        self._left_out = len(there) - len(sprocs)
        broken = {one.name: found for one in sprocs if (found := syntax_problems(one.name, one.source))}
        self._broken = [problem for found in broken.values() for problem in found]
        self.program = Program([one for one in sprocs if one.name not in broken], _exact(own, sprocs))
        self.folder = _folder(file)
        given = configuration.keys, configuration.args, configuration.seed
        self.run: Run = run_of_record(record, *given) if record else run_of(own, *given, configuration.event)
        self._ends = contextlib.ExitStack()
        self._closing = False
        self._started_in = Path.cwd()  # an async sproc works elsewhere

    def session(self, breakpoints: Breakpoints, say: Say, gone: Callable[[str], None]) -> DebugSession:
        """Starts the server, if none is named, and connects. `gone` is told, by another thread, if that server ends by itself."""
        for problem in self._broken:
            say("stderr", f"left out, as it doesn't compile: {problem}", None)
        if self._left_out:
            text = f"of this large work tree only the sprocs that {self.sproc.name} names are here, and those that they name"
            say("console", f"{text}: {self._left_out:,} others are left out", None)
        url, asynchronous = "" if self.configuration.execution else self._server.url, self.sproc.runasync
        if url and asynchronous:
            raise SettingsError(
                f"{self.sproc.name} is runasync=yes, and what it writes can't be rolled back: debug it without redis"
            )
        if url:
            say("console", f"on {redacted(url)}, in a forked session: what the sproc writes is rolled back", None)
        own = None if url else self._own_server()
        url = own.url if own else url
        if self._seeds:
            restore(url, self._seeds)
        if self.run.made:
            say("console", f"{self.sproc.name} runs {self.run.made}", None)
        session: DebugSession
        if asynchronous:
            from sync.debugger.backend.hook_session import HookSession  # noqa: PLC0415  # a worker's parts: 20 ms

            run = self._prepared(url, say)
            session = HookSession(url, self._rules(), self.program, run, breakpoints, say)
        else:
            session = LdbSession(Ldb(url), self.program, self.run, breakpoints, say, own=own is not None)
        self._ends.callback(session.close)
        if own:
            threading.Thread(target=self._watch, args=(own, gone, session), name="server", daemon=True).start()
        return session

    def _rules(self) -> Rules:
        """What a daemon in the work tree gives its workers."""
        from luasprocs.worker.confinement import Rules  # noqa: PLC0415  # as above

        top = find_top(self.configuration.program.absolute().parent)
        settings = host_settings({"repo": top})
        folder = settings.files_at(top or self.configuration.program.absolute().parent)
        return Rules(folder, settings.writable, settings.lua_path, frozenset(settings.allow))

    def _prepared(self, url: str, say: Say) -> Run:
        """Makes the sprocs live on the throw-away server, and seeds it. The run, with an event's arguments."""
        from redis.exceptions import ResponseError  # noqa: PLC0415  # as below

        from luasprocs.operations.put import put  # noqa: PLC0415  # redis: 160 ms, which other sprocs' first stop needn't wait
        from luasprocs.server.connection import connect  # noqa: PLC0415  # as above
        from luasprocs.server.registry import Registry  # noqa: PLC0415  # as above

        run = self.run
        with connect(url) as client:
            put(Registry(client, Keys("")), self.program.sprocs.values())
            for words in run.seed:
                try:
                    reply = client.execute_command(*words)
                except ResponseError as error:
                    raise ScriptError(f"the seed {' '.join(words)!r} failed: {error}") from error
                say("console", f"{' '.join(words)}: {reply!r}", None)
            if run.trigger == Trigger.EVENT:
                asked = words_of(self.program, run._replace(trigger=ARGUMENTS))
                found = client.eval(script_of(self.program), len(run.keys), *run.keys, *asked)
                return run._replace(args=found)
        return run._replace(args=(raw(run.word), b"cron")) if run.trigger == Trigger.CRON else run

    def _own_server(self) -> EmbeddedServer:
        remove_left()
        folder = self._ends.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER))
        return self._ends.enter_context(EmbeddedServer(Path(folder), persistent=False))

    def _watch(self, server: EmbeddedServer, gone: Callable[[str], None], session: DebugSession) -> None:
        """The session's process is no child of this one, and would outlive a server that is killed."""
        server.wait()
        if not self._closing:
            gone("the throw-away server has ended, and the session with it")
            session.close()

    def close(self) -> None:
        self._closing = True
        self._ends.close()

    def path_of(self, name: str) -> Path:
        """The file of a sproc."""
        if name == self.sproc.name:
            return self.configuration.program.absolute()
        return self.folder / name

    def name_of(self, path: str) -> str:
        """The sproc's name of a file; its path if it is none."""
        with contextlib.suppress(OSError, ValueError):
            found = (self._started_in / path).resolve()
            if found == self.configuration.program.resolve():
                return self.sproc.name
            return found.relative_to(self.folder.resolve()).as_posix()
        return str(path)


def _exact(own: Sproc, sprocs: Sequence[Sproc]) -> set[str]:
    """The sprocs whose locals shall be read as they are."""
    few = sum(len(one.source) for one in sprocs) <= EXACT_BYTES
    return set() if own.runasync else {one.name for one in (sprocs if few else reached(own, sprocs))}


def _folder(file: Path) -> Path:
    """The folder of the sprocs around a file."""
    top = find_top(file.absolute().parent)
    return (top / settings_of(top).folder) if top else file.absolute().parent
