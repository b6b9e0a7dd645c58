"""The bare loop that event dispatch is measured against: hiredis reads notifications, batched FCALLs run one compiled body.

Imports nothing of ours. `python bench/bare_events.py PORT TOTAL PATTERN`: prints `ready`, then how many seconds TOTAL events took
from the first that ran to the last.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import hiredis

PORT, TOTAL, PATTERN = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
BATCH = 128
PREFIX = len(b"__keyspace@0__:")
pending: list[tuple[bytes, bytes, int]] = []


class Resp(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport, self.reader, self.in_flight, self.ran = transport, hiredis.Reader(), 0, 0
        self.started = 0.0

    def data_received(self, data: bytes) -> None:
        """All messages that are whole, then as many batches as may be under way."""
        self.reader.feed(data)
        while (message := self.reader.gets()) is not False:
            self.receive(message)
        flush()

    def receive(self, message: Any) -> None:
        raise NotImplementedError

    def send(self, *args: Any) -> None:
        self.transport.write(hiredis.pack_command(args))


class Commands(Resp):
    def receive(self, message: Any) -> None:
        if isinstance(message, Exception):
            raise message
        self.started = self.started or time.perf_counter()
        self.ran += message
        self.in_flight -= 1
        if self.ran >= TOTAL:
            print(time.perf_counter() - self.started, flush=True)
            asyncio.get_running_loop().stop()


class Notifications(Resp):
    count = 0

    def receive(self, message: Any) -> None:
        if message[0] == b"pmessage":
            self.count += 1
            pending.append((message[2][PREFIX:], message[3], self.count))
        elif message[0] == b"psubscribe":
            print("ready", flush=True)


commands: Commands


def flush() -> None:
    while pending and commands.in_flight < 4:
        batch, pending[:BATCH] = pending[:BATCH], []
        args: list[Any] = [b"FCALL", b"bare_dispatch", b"0", b"dream:*", b"1", b"%d" % batch[0][2]]
        for key, event, _ in batch:
            args += (key, event)
        commands.send(*args)
        commands.in_flight += 1


async def start() -> None:
    global commands
    loop = asyncio.get_running_loop()
    _, commands = await loop.create_connection(Commands, "127.0.0.1", PORT)
    _, events = await loop.create_connection(Notifications, "127.0.0.1", PORT)
    events.send("SUBSCRIBE", "bare:marker")
    events.send("PSUBSCRIBE", PATTERN)


loop = asyncio.new_event_loop()
loop.run_until_complete(start())
loop.run_forever()
