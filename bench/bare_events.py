"""The bare loop that event dispatch is measured against: hiredis reads notifications, batched FCALLs run one compiled body.

Imports nothing of ours. `python bench/bare_events.py TOTAL PATTERN PORT:TAG...`: prints `ready` for each port,
then how many seconds TOTAL events took from the first that ran to the last. TAG: what that server's keys begin with.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from typing import Any

import hiredis

TOTAL, PATTERN, PLACES = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
BATCH = 128
PREFIX = len(b"__keyspace@0__:")


class Resp(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport, self.reader = transport, hiredis.Reader()

    def data_received(self, data: bytes) -> None:
        """All messages that are whole, then as many batches as may be under way."""
        self.reader.feed(data)
        while (message := self.reader.gets()) is not False:
            self.receive(message)
        self.flush()

    def receive(self, message: Any) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def send(self, *args: Any) -> None:
        self.transport.write(hiredis.pack_command(args))


class Commands(Resp):
    """Runs what is pending of one node."""

    ran, started = 0, 0.0
    """Of all nodes."""

    def __init__(self, tag: bytes) -> None:
        self.tag = tag
        self.pending: list[tuple[bytes, bytes, int]] = []
        self.in_flight = 0

    def receive(self, message: Any) -> None:
        if isinstance(message, Exception):
            raise message
        Commands.started = Commands.started or time.perf_counter()
        Commands.ran += message
        self.in_flight -= 1
        if Commands.ran >= TOTAL:
            print(time.perf_counter() - Commands.started, flush=True)
            asyncio.get_running_loop().stop()

    def flush(self) -> None:
        while self.pending and self.in_flight < 4:
            batch, self.pending[:BATCH] = self.pending[:BATCH], []
            args: list[Any] = [b"FCALL", b"bare_dispatch", b"0", self.tag, b"dream:*", b"1", b"%d" % batch[0][2]]
            for key, event, _ in batch:
                args += (key, event)
            self.send(*args)
            self.in_flight += 1


class Notifications(Resp):
    count = 0

    def __init__(self, commands: Commands) -> None:
        self.commands = commands

    def receive(self, message: Any) -> None:
        if message[0] == b"pmessage":
            self.count += 1
            self.commands.pending.append((message[2][PREFIX:], message[3], self.count))
        elif message[0] == b"psubscribe":
            print("ready", flush=True)

    def flush(self) -> None:
        self.commands.flush()


async def start() -> None:
    loop = asyncio.get_running_loop()
    for place in PLACES:
        port, _, tag = place.partition(":")
        _, commands = await loop.create_connection(partial(Commands, tag.encode()), "127.0.0.1", int(port))
        _, events = await loop.create_connection(partial(Notifications, commands), "127.0.0.1", int(port))
        events.send("SUBSCRIBE", "bare:marker")
        events.send("PSUBSCRIBE", PATTERN)


loop = asyncio.new_event_loop()
loop.run_until_complete(start())
loop.run_forever()
