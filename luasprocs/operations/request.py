"""Asks the daemons that follow git, and waits for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import OutcomeUnknownError, RegistryError
from luasprocs.state import requests

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry

ANSWER_WITHIN_S = 15.0


def request(
    registry: Registry, action: str, *, by: str, within_s: float = ANSWER_WITHIN_S, **arguments: str
) -> requests.Answer:
    """The answer to a request for `sync`, `rollback` (`generation="3"`) or `fetch`; one daemon takes it.

    Raises:
        RegistryError: the daemon refuses, or failed. OutcomeUnknownError: no answer came in time.
        redis.RedisError: the connection or a right failed.
    """
    asked = requests.request(registry, action, by, **arguments)
    answer = requests.wait_for_answer(registry, asked, within_s)
    if answer is None:
        raise OutcomeUnknownError(f"no daemon answered within {within_s:.0f} s: is one syncing here?")
    if not answer.ok:
        raise RegistryError(answer.text)
    return answer
