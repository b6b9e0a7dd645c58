"""Who a daemon is."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """`id`: host, process and a random part; `started_s`: unix time by the local clock; `version`: of luasprocs."""

    id: str
    host: str
    pid: int
    started_s: int
    version: str

    @classmethod
    def of_process(cls) -> Identity:
        host, pid = socket.gethostname(), os.getpid()
        return cls(f"{host}-{pid}-{secrets.token_hex(3)}", host, pid, round(time.time()), version("luasprocs"))

    def info(self) -> dict[str, Any]:
        """Its fields in the heartbeat."""
        return {"pid": self.pid, "host": self.host, "started": self.started_s, "version": self.version}
