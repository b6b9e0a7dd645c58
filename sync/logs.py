"""What the daemon says on standard error: lines for people, or JSON."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

FORMATS = ("human", "json")
_LEVELS = {"warning": "WARNING", "error": "ERROR", "info": "INFO", "critical": "CRITICAL", "debug": "DEBUG"}


def log_to_stderr(form: str = "human") -> None:
    """The daemon's logger writes there; `form`: one of FORMATS."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")
    last = structlog.processors.JSONRenderer() if form == "json" else _line
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, stamp, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logger = logging.getLogger("luasprocs.daemon")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _line(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    """`2026-11-25T09:00:00.123456Z WARNING what happened`."""
    exception = event.get("exception")
    line = f"{event['time']} {_LEVELS.get(event['level'], event['level'])} {event['event']}"
    return f"{line}\n{exception}" if exception else line
