"""A small client of the Debug Adapter Protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path


class Refused(Exception):  # noqa: N818  # a client's word for what was answered
    """A request that the adapter refused."""


class Client:
    """An adapter in a process of its own, as a context. `outputs`: what it said, `heard`: all events, in order."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sync.cli", "dap"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._sequence = 0
        self._events: list[dict[str, Any]] = []
        self.outputs: list[dict[str, Any]] = []
        self.heard: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        try:
            self.process.wait(15)
        finally:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdout, self.process.stderr):
                assert pipe
                pipe.close()

    def hang_up(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def send(self, body: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def raw(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The body of the response; what comes before it is kept."""
        self._sequence += 1
        own = self._sequence
        request = {"seq": own, "type": "request", "command": command, "arguments": arguments}
        self.send(json.dumps(request).encode())
        while True:
            message = self._read()
            if message["type"] == "response" and message["request_seq"] == own:
                if not message["success"]:
                    raise Refused(message["message"])
                return dict(message.get("body") or {})

    def event(self, *names: str) -> dict[str, Any]:
        """The next event of one of these names: its body, with the name as `event`."""
        while True:
            for place, message in enumerate(self._events):
                if message["event"] in names:
                    del self._events[: place + 1]
                    return {"event": message["event"], **message.get("body", {})}
            self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        length = 0
        while (line := self.process.stdout.readline()) != b"\r\n":
            if not line:
                raise EOFError("the adapter has ended")
            length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if message["type"] == "event":
            self.heard.append(message["event"])
        if message["type"] == "event" and message["event"] == "output":
            self.outputs.append(message["body"])
        elif message["type"] == "event":
            self._events.append(message)
        return message

    def launch(self, program: Path, *, stops: dict[Path, list[Any]] | None = None, **more: Any) -> list[dict[str, Any]]:
        """Starts a session with breakpoints: lines, or objects of the protocol. What was answered to these."""
        self.ask("initialize", adapterID="luasprocs")
        self.ask("launch", program=str(program), **more)
        self.event("initialized")
        answered: list[dict[str, Any]] = []
        for file, lines in (stops or {}).items():
            wanted = [{"line": one} if isinstance(one, int) else one for one in lines]
            answered += self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=wanted)["breakpoints"]
        self.ask("configurationDone")
        return answered

    def stopped(self) -> str:
        """Waits until it stops: `reason file:line`, or how it ended: `exited 0`."""
        event = self.event("stopped", "exited")
        if event["event"] == "exited":
            return f"exited {event['exitCode']}"
        return f"{event['reason']} {self.where()[0]}"

    def step(self, how: str) -> str:
        self.ask(how, threadId=1)
        return self.stopped()

    def where(self) -> list[str]:
        """The frames, as `file:line`."""
        frames = self.ask("stackTrace", threadId=1)["stackFrames"]
        return [f"{one['source']['name']}:{one['line']}" for one in frames]

    def variables(self, scope: str = "Locals", frame: int = 1) -> dict[str, Any]:
        """A scope's, tables as dictionaries."""
        scopes = self.ask("scopes", frameId=frame)["scopes"]
        return next((self._fields(one["variablesReference"]) for one in scopes if one["name"] == scope), {})

    def _fields(self, reference: int, depth: int = 0) -> dict[str, Any]:
        """Strings without quotes, which not all servers write."""
        return {
            one["name"]: self._fields(one["variablesReference"], depth + 1)
            if one["variablesReference"] and depth < 5
            else one["value"].strip('"')
            for one in self.ask("variables", variablesReference=reference)["variables"]
        }

    def evaluate(self, expression: str, context: str = "watch") -> str:
        return str(self.ask("evaluate", expression=expression, context=context, frameId=1)["result"])

    @property
    def said(self) -> str:
        """All that was said, a line each."""
        return "".join(one["output"] for one in self.outputs)
