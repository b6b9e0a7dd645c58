"""Asks the daemons that follow git, and waits for the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import NotDoneError, OutcomeUnknownError, RegistryError
from luasprocs.state import requests

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


def request(
    registry: Registry,
    action: str,
    *,
    by: str,
    on: int | None = None,
    within_s: float = requests.WITHIN_S,
    **arguments: str,
) -> requests.Answer:
    """The answer to a request for `sync`, `rollback` (`generation="3"`) or `fetch`; one daemon takes it, or none ever does.

    `on`: the generation that who asks has looked at; None: the live one.

    Raises:
        NotDoneError: no daemon took it in time, or another generation came meanwhile; nothing was done, and nothing will be.
        RegistryError: the daemon refuses, or failed. OutcomeUnknownError: a daemon took it, and has not answered in time.
        redis.RedisError: the connection or a right failed.
    """
    asked = requests.request(registry, action, by, within_s, on, **arguments)
    answer = requests.wait_for_answer(registry, asked, within_s)
    if answer is None and requests.withdraw(registry, asked):
        raise NotDoneError(
            f"no daemon has taken the {action} within {within_s:.0f} s, and none will: nothing was done; "
            "does one sync here? luasprocs status lists those that live"
        )
    answer = answer or requests.find_answer(registry, asked)
    if answer is None:
        raise OutcomeUnknownError(f"a daemon has taken the {action}, and not answered within {within_s:.0f} s")
    if answer.refusal:
        raise NotDoneError(answer.text)
    if not answer.ok:
        raise RegistryError(answer.text)
    return answer
