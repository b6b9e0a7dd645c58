"""An embedded server with everything moving, for a look at the screen: events, schedules, async runs, a failing sproc."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from luasprocs.server.connection import connect
from luasprocs.server.embedded import EmbeddedServer
from sync.demo import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITES_A_SECOND = 20
_SPROCS = {
    "orders/count.lua": "-- description=Counts orders by customer\n-- event=set\n-- key=order:*\n"
    "return redis.call('HINCRBY', 'orders', ARGV[1], 1)\n",
    "orders/check.lua": "-- description=Fails for odd orders\n-- event=set\n-- key=order:*\n"
    "local number = tonumber(KEYS[1]:match('%d+'))\n"
    "if number % 10 == 7 then\n  error('order ' .. number .. ' is odd')\nend\n",
    "orders/export.lua": "-- description=Writes orders to a file\n-- event=set\n-- key=order:*\n"
    "-- runasync=yes\n-- overlap=allow\n"
    "local file = assert(io.open('orders.txt', 'ab'))\n"
    "assert(file:write(KEYS[1], '\\n'))\nassert(file:close())\n",
    "beat.lua": "-- description=Every two seconds\n-- every=2s\nreturn redis.call('INCR', 'beats')\n",
    "report.lua": "-- description=At night in Berlin\n-- cron=30 2 * * *\n-- timezone=Europe/Berlin\nreturn 'reported'\n",
}


@contextlib.contextmanager
def moving(folder: Path) -> Iterator[str]:
    """Runs it; its URL."""
    repository = folder / "shop"
    shutil.copytree(examples(), repository / "sprocs")
    for name, source in _SPROCS.items():
        path = repository / "sprocs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    environ = _environ()
    who = ("-c", "user.name=Demo", "-c", "user.email=demo@example.invalid")
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "The sprocs of the demo")):
        subprocess.run(["git", *who, *words], cwd=repository, env=environ, check=True)
    with EmbeddedServer(folder / ".luasprocs") as server:
        stop = threading.Event()
        writer = threading.Thread(target=_write, args=(server.url, stop), daemon=True)
        with (folder / "daemon.log").open("wb") as log:
            command = [sys.executable, "-m", "sync.cli", "--redis", server.url, "daemon"]
            daemon = subprocess.Popen(command, cwd=repository, env=environ, stdout=log, stderr=log)
        try:
            writer.start()
            yield server.url
        finally:
            stop.set()
            daemon.terminate()
            daemon.wait()
            writer.join(5)


def show(folder: Path) -> int:
    """Runs the screen on it, until it is left. Returns the screen's exit code."""
    with moving(folder) as url:
        command = [sys.executable, "-m", "luasprocs_tui", "--redis", url]
        return subprocess.run(command, cwd=folder, env=_environ(), check=False).returncode


def _environ() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "LUASPROCS_"))}
    return own | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def _write(url: str, stop: threading.Event) -> None:
    """Orders, as customers make them."""
    client = connect(url)
    number = 0
    while not stop.is_set():
        with contextlib.suppress(RedisError):
            number += 1
            client.set(f"order:{number}", random.choice(("ann", "ben", "cem")), ex=60)  # noqa: S311  # no secret
            if number % WRITES_A_SECOND == 0:
                client.set("dream", f"of {number}")
        time.sleep(random.expovariate(WRITES_A_SECOND))
