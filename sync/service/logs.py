"""The daemon's log on standard error: lines for people, or JSON."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from luasprocs.operations.terminal import Printable, escaped
from luasprocs.runtime.log import log
from sync.console import json_text

FORMATS = ("human", "json")


def log_to_stderr(form: str = "human") -> None:
    """Sends the daemon's log to standard error; `form`: one of FORMATS."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Lines("%(asctime)s %(levelname)s %(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class _Lines(logging.Formatter):
    """`2026-11-25T09:00:00.123456Z WARNING what happened`. Further lines are indented: they are no lines of their own."""

    def format(self, record: logging.LogRecord) -> Printable:
        """Safe for a terminal."""
        return Printable(escaped(super().format(record)).replace("\n", "\n  "))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Of a cluster's shard with its tag."""
        if shard := _shard(record):
            record.message = f"shard {shard}: {record.message}"
        return super().formatMessage(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """UTC, to the microsecond."""
        return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


class _Json(_Lines):
    """One object per line: `event`, `level`, `time`, `shard` in a cluster, and `exception` if there is a traceback."""

    def format(self, record: logging.LogRecord) -> Printable:
        """One line, even if the message has several."""
        said = {"event": record.getMessage(), "level": record.levelname.lower(), "time": self.formatTime(record)}
        if shard := _shard(record):
            said["shard"] = shard
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json_text(said)


def _shard(record: logging.LogRecord) -> str:
    return str(getattr(record, "shard", ""))
