"""The debug adapter as a process of its own: requests in order, events as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_LIMIT_BYTES = 16 << 20
_EVENT = "event"


class RefusedError(Exception):
    """What the adapter answers instead of what was asked."""


class AdapterClient:
    """`heard` gets the name and the body of each event, and `ended` at the end of the process."""

    def __init__(self, heard: Callable[[str, dict[str, Any]], None]) -> None:
        self._heard = heard
        self._sequence = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the process; its complaints go nowhere, as the terminal is the screen's."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sync.cli",
            "dap",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MESSAGE_LIMIT_BYTES,
        )
        self._reading = asyncio.create_task(self._read())

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The body of the response.

        Raises:
            RefusedError: the adapter says why not, or has ended.
        """
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            raise RefusedError("the debugger has ended")
        self._sequence += 1
        answer = self._answers[self._sequence] = asyncio.get_running_loop().create_future()
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await self._process.stdin.drain()
        found = await answer
        if not found.get("success"):
            raise RefusedError(str(found.get("message", "")))
        return found.get("body") or {}

    async def _read(self) -> None:
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        with contextlib.suppress(asyncio.IncompleteReadError, ValueError):
            while True:
                head = await self._process.stdout.readuntil(b"\r\n\r\n")
                length = int(head.split(b":")[1])
                self._take(json.loads(await self._process.stdout.readexactly(length)))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result({"message": "the debugger has ended"})
        self._heard("ended", {})

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("type") == _EVENT:
            self._heard(message[_EVENT], message.get("body") or {})
        elif answer := self._answers.pop(message.get("request_seq", 0), None):
            answer.set_result(message)

    async def close(self) -> None:
        """Ends it, and with it its server."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()  # it ends in order when nobody talks to it
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
