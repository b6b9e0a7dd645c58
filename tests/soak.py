"""The long form of a test (`make soak`): more of everything, other examples each time. CI says the same of a commit each time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SOAK = bool(os.environ.get("LUASPROCS_SOAK"))

settings.register_profile("short", derandomize=True, deadline=None)
settings.register_profile("long", deadline=None)
settings.load_profile("long" if SOAK else "short")


def examples(count: int) -> settings:
    """So many examples, ten times as many in the long form, of a test that shares its server among them."""
    return settings(max_examples=10 * count if SOAK else count, suppress_health_check=list(HealthCheck))
