"""What a failed run said, for people; without redis-py, for which a screen that just starts would wait."""

from __future__ import annotations

import re

from luasprocs.server.states import ELSEWHERE_TEXT

_PLACE = re.compile(r" script: (?:\S+, )?on @(?P<place>.+?(?::\d+)?)\.$")
ELSEWHERE = "a key is on another shard: pass it as a key, or give both a hash tag"


def readable_error(text: str) -> str:
    """The server's text, with the place before the message instead of behind it."""
    text = ELSEWHERE_TEXT.sub(ELSEWHERE, text)
    found = _PLACE.search(text)
    if not found:
        return text
    said, place = text[: found.start()], found["place"]
    if f"{place}:" in said:
        return said
    code, _, message = said.partition(" ")
    return f"{code} {place}: {message}" if code.isupper() else f"{place}: {said}"
