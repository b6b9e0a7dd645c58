"""The daemon's log, by its one name."""

from __future__ import annotations

import logging
from contextvars import ContextVar

log = logging.getLogger("luasprocs.daemon")
SHARD: ContextVar[str] = ContextVar("shard", default="")
"""The tag of the shard that a task works for; records have it as `shard`. "" for none, as on a single server."""


def _with_shard(record: logging.LogRecord) -> bool:
    record.shard = SHARD.get()
    return True


log.addFilter(_with_shard)
