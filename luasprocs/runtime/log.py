"""The daemon's log, by its one name."""

from __future__ import annotations

import logging

log = logging.getLogger("luasprocs.daemon")
