"""The debug adapter: each request of the protocol and who answers it.

One thread reads requests, and answers those that can be answered while the sproc runs. Another has the session, and the rest.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from luasprocs.errors import LuasprocsError
from sync.debugger.backend.ldb import SessionEndedError
from sync.debugger.backend.session import Ended, Stop
from sync.debugger.backend.values import readable
from sync.debugger.client import Client
from sync.debugger.configuration import Configuration
from sync.debugger.fields import RefusedError
from sync.debugger.inspection import Inspection
from sync.debugger.launch import Launched
from sync.debugger.stops import ERROR_FILTER, Stops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sync.debugger.backend.session import DebugSession
    from sync.debugger.transport import Transport

    Arguments = Mapping[str, Any]

THREAD = 1
SLOW_S = 2.0
"""So long after a request for values it is said that the server is at it."""
CAPABILITIES = {
    "supportsConfigurationDoneRequest": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsEvaluateForHovers": True,
    "supportsTerminateRequest": True,
    "supportsExceptionInfoRequest": True,
    "supportsBreakpointLocationsRequest": True,
    "supportsSetVariable": True,
    "exceptionBreakpointFilters": [{"filter": ERROR_FILTER, "label": "Errors that end the sproc", "default": True}],
}
_VALUES = frozenset({"scopes", "variables", "evaluate"})
_STEPS = {"continue": "continue", "next": "next", "stepIn": "in", "stepOut": "out"}


class Adapter:
    """One client. `run` returns when it is gone."""

    def __init__(self, transport: Transport) -> None:
        self._client = Client(transport)
        self._stops = Stops(self._client, self._runs)
        self._launched: Launched | None = None
        self._started = False
        self._session: DebugSession | None = None
        self._tasks: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._standing = threading.Event()
        self._ended = threading.Lock()
        self._error = ""
        self._inspection: Inspection | None = None
        self._at_once: dict[str, Callable[[Arguments], Any]] = {
            "initialize": self._initialize,
            "setBreakpoints": lambda given: self._stops.set(given, self._launched),
            "setExceptionBreakpoints": self._stops.set_filters,
            "threads": lambda _: {
                "threads": [{"id": THREAD, "name": self._launched.sproc.name if self._launched else "sproc"}]
            },
            "pause": self._pause,
            "terminate": self._terminate,
            "breakpointLocations": lambda given: self._stops.possible(given, self._launched),
        }
        self._in_turn: dict[str, Callable[[Arguments], Any]] = {
            "launch": self._launch,
            "configurationDone": self._configured,
            "stackTrace": self._inspected(Inspection.stack_trace),
            "scopes": self._inspected(Inspection.scopes),
            "variables": self._inspected(Inspection.variables),
            "setVariable": self._inspected(Inspection.set_variable),
            "evaluate": self._inspected(Inspection.evaluate),
            "exceptionInfo": self._exception_info,
            **dict.fromkeys(_STEPS, lambda _: {"allThreadsContinued": True}),
        }

    def run(self) -> None:
        """Answers until the client hangs up."""
        worker = threading.Thread(target=self._work, name="session", daemon=True)
        worker.start()
        try:
            while (message := self._client.read()) is not None:
                name = message.get("command")
                if message.get("type") != "request" or not isinstance(name, str):
                    continue
                if name == "disconnect":
                    self._close()
                    self._client.respond(message, {})
                    break
                self._take(name, message)
        finally:
            self._close()
            self._tasks.put(None)
            worker.join(2)

    def _runs(self) -> bool:
        return self._started and not self._standing.is_set() and not self._ended.locked()

    def _take(self, name: str, message: dict[str, Any]) -> None:
        arguments = message.get("arguments")
        thread = arguments.get("threadId", THREAD) if isinstance(arguments, dict) else THREAD
        if thread != THREAD:
            self._client.refuse(message, f"{name}: there is no thread {thread!r}")
        elif name in self._at_once:
            with self._stops.telling if name == "setBreakpoints" else contextlib.nullcontext():
                self._answer(self._at_once[name], message)
        elif name not in self._in_turn:
            self._client.refuse(message, f"{name} is not supported")
        elif name not in {"launch", "configurationDone"} and not self._standing.is_set():
            why = "the session has ended" if self._ended.locked() else "the sproc is running"
            self._client.refuse(message, why if self._session else "nothing is being debugged")
        else:
            if name in _STEPS:
                self._standing.clear()
            self._tasks.put((name, message))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            name, message = task
            with self._saying_if_slow() if name in _VALUES else contextlib.nullcontext():
                sound = self._answer(self._in_turn[name], message)
            if not sound:
                continue
            if name == "launch":
                self._client.event("initialized")
            elif name == "configurationDone" and self._started:
                self._advance(self._start)
            elif name in _STEPS:
                self._advance(methodcaller("resume", _STEPS[name]))

    @contextlib.contextmanager
    def _saying_if_slow(self) -> Iterator[None]:
        """Valkey's debugger writes a table in the square of the time that its size would need."""
        said = "the server is writing out values, which takes long if a table is large: wait, or stop the session"
        timer = threading.Timer(SLOW_S, self._client.say, ("stderr", said))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _start(self, session: DebugSession) -> Stop | Ended:
        return session.start(stop_on_entry=bool(self._launched and self._launched.configuration.stop_on_entry))

    def _answer(self, handler: Callable[[Arguments], Any], message: dict[str, Any]) -> bool:
        arguments = message.get("arguments")
        try:
            body = handler(arguments if isinstance(arguments, dict) else {})
        except SessionEndedError as error:
            self._client.refuse(message, str(error))
            self._end(Ended(error=f"{error}"))
            return False
        except RefusedError as error:
            self._client.refuse(message, f"{message['command']}: {error}")
            return False
        except LuasprocsError as error:
            self._client.refuse(message, str(error))
            return False
        except Exception as error:  # noqa: BLE001  # a client may send anything, and each request is answered
            self._client.refuse(message, f"{type(error).__name__}: {error}")
            return False
        self._client.respond(message, body or {})
        return True

    def _advance(self, how: Callable[[DebugSession], Stop | Ended]) -> None:
        if self._session is None:
            return
        self._error = ""
        self._client.listens()
        if self._inspection:
            self._inspection.forget()
        try:
            found = how(self._session)
        except Exception as error:  # noqa: BLE001  # whatever it is, the session ends and says why
            found = Ended(error=str(error))
        if isinstance(found, Ended):
            self._end(found)
            return
        self._error = readable(found.text)
        self._client.listens()
        self._stops.counting()
        self._standing.set()
        more = {"text": self._error, "description": self._error} if found.text else {}
        self._client.event("stopped", reason=found.reason, threadId=THREAD, allThreadsStopped=True, **more)

    def _end(self, ended: Ended) -> None:
        """Says how it ended, once."""
        if not self._ended.acquire(blocking=False):
            return
        self._standing.clear()
        self._client.listens()
        if ended.error:
            self._client.say("stderr", ended.error, ended.place)
        else:
            self._client.say("stdout", f"reply: {ended.reply}")
        self._client.event("exited", exitCode=1 if ended.error else 0)
        self._client.event("terminated")

    def _initialize(self, arguments: Arguments) -> Any:
        self._client.introduces(arguments)
        return CAPABILITIES

    def _launch(self, arguments: Arguments) -> Any:
        if self._launched is not None:
            raise RefusedError("one session launches one sproc")
        if self._ended.locked():
            raise RefusedError("the session has ended")
        launched = Launched(Configuration.parse(arguments))
        self._launched, self._client.path_of = launched, launched.path_of
        try:
            self._session = launched.session(self._stops.breakpoints, self._client.say, self._gone)
        except BaseException:  # a client may try again with something else
            launched.close()
            self._launched = None
            raise
        self._inspection = Inspection(self._session, launched)
        return {}

    def _configured(self, _: Arguments) -> Any:
        if self._started:
            raise RefusedError("the session has begun")
        self._started = self._session is not None
        return {}

    def _pause(self, _: Arguments) -> Any:
        if self._session is None:
            raise RefusedError("nothing is being debugged")
        self._session.pause()
        return {}

    def _terminate(self, _: Arguments) -> Any:
        if self._session is not None:
            self._session.close()
        self._end(Ended(error="stopped by the debugger"))
        return {}

    def _gone(self, why: str) -> None:
        self._end(Ended(error=why))

    def _close(self) -> None:
        self._ended.acquire(blocking=False)
        if self._launched is not None:
            self._launched.close()

    def _exception_info(self, _: Arguments) -> Any:
        return {"exceptionId": "error", "description": self._error, "breakMode": "unhandled"}

    def _inspected(self, answer: Callable[[Inspection, Arguments], Any]) -> Callable[[Arguments], Any]:
        def answered(arguments: Arguments) -> Any:
            if self._inspection is None:
                raise RefusedError("nothing is being debugged")
            return answer(self._inspection, arguments)

        return answered
