"""What somebody has taken note of: gaps and missed times up to a moment, which are findings no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.codes import FindingCode
from luasprocs.contract.encoding import number, texts, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.server.reading import reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.server.registry import Registry

CODES = (FindingCode.GAP, FindingCode.MISSED)


class Acknowledged(NamedTuple):
    """`until_ms`: what happened up to then is known; `at_ms`: when somebody said so, `by` whom. Unix milliseconds."""

    until_ms: int = 0
    at_ms: int = 0
    by: str = ""


def parse_acknowledged(stored: Any) -> Mapping[FindingCode, Acknowledged]:
    """From the hash; each of CODES has one."""
    found = {name: value.split(" ", 2) for name, value in texts(stored).items()}
    return {
        code: Acknowledged(number(words[0]), number(words[1]), words[2])
        if len(words) > 2
        else Acknowledged()  # as stored
        for code in CODES
        for words in [found.get(code, [])]
    }


def acknowledge(registry: Registry, until_ms: Mapping[FindingCode, int], by: str) -> None:
    """Stores that all up to a moment is known, for each code.

    Raises:
        RegistryError: somebody wrote over the key. redis.RedisError: the connection or a right failed.
    """
    at_ms = time_ms(registry.client.time())
    values: Any = {str(code): f"{ms} {at_ms} {by}" for code, ms in until_ms.items()}
    with reading(Keys.acknowledged, registry.keys):
        registry.home.client.hset(registry.home.keys.acknowledged, mapping=values)
