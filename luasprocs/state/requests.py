"""Requests to the daemons that sync, and their answers: a stream, so that who asks needs nothing but Redis.

A request is taken by one daemon (a consumer group). An answer names the request's id. A request says until when it holds, and on
which generation it was made: a daemon that comes later, or finds another one, answers and does nothing.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.codes import RequestRefusal
from luasprocs.contract.encoding import parsed_json, text, time_ms
from luasprocs.server.errors import is_no_group, is_wrong_type
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping


ACTIONS = ("sync", "rollback", "fetch")
GROUP = "daemons"
LIMIT = 1000
STALE_MS = 30_000
"""A request that its daemon has had for so long is another's, which answers it: it has expired long since."""
LONGEST_MS = 600_000
"""A deadline that lies further ahead is none."""
WITHIN_S = 15.0
POLL_S = 0.05
DIGITS = 15
"""Of a number: no more is one."""


@dataclass(frozen=True, slots=True)
class Request:
    """`action`: one of ACTIONS; `by`: who asks; `arguments`: `revision` for sync; `generation`, `why` for rollback.

    `deadline_ms`: until when it holds (unix milliseconds, the server's clock); `on`: the generation that it was made on.
    `left`: another daemon has had it, which may have done it.
    """

    id: str
    action: str
    by: str
    deadline_ms: int = 0
    on: int = -1
    arguments: Mapping[str, str] = field(default_factory=dict)
    left: bool = False

    def refused(self, now_ms: int, generation: int) -> RequestRefusal | None:
        """Why it must not be done now, where a generation is live. A fetch makes none, and holds on any."""
        if not now_ms <= self.deadline_ms <= now_ms + LONGEST_MS:
            return RequestRefusal.EXPIRED
        if self.action != "fetch" and self.on != generation:
            return RequestRefusal.OVERTAKEN
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """`ok` or not, and what happened as a sentence. `refusal`: a word of RequestRefusal if nothing was done, else ""."""

    ok: bool
    text: str
    daemon: str = ""
    refusal: str = ""


def now_and_generation(registry: Registry) -> tuple[int, int]:
    """The server's time (unix milliseconds), and the live generation, 0 for none."""
    pipe = registry.client.pipeline(transaction=False)
    pipe.time()
    pipe.hget(registry.keys.revision, "generation")
    now, generation = pipe.execute()
    return time_ms(now), _number(text(generation or b""), 0)


def request(
    registry: Registry, action: str, by: str, within_s: float = WITHIN_S, on: int | None = None, **arguments: str
) -> str:
    """Asks the daemons for something that holds for so long. `on`: the generation that is meant; None: the live one.

    Returns the request's id.
    """
    now_ms, generation = now_and_generation(registry)
    fields: dict[Any, Any] = {
        "request": action,
        "by": by,
        "deadline": now_ms + round(within_s * 1000),
        "generation": generation if on is None else on,
        "arguments": json.dumps(arguments),
    }
    added: Any = registry.home.client.xadd(registry.home.keys.control, fields, maxlen=LIMIT)
    return text(added)


def find_answer(registry: Registry, request_id: str) -> Answer | None:
    """The answer to a request, if there is one."""
    entries: Any = registry.home.client.xrange(registry.home.keys.control, f"({request_id}", "+")
    for _, fields in entries:
        found = {text(name): text(value) for name, value in fields.items()}
        if found.get("answer") == request_id:
            said = (found.get(name, "") for name in ("text", "daemon", "refusal"))
            return Answer(found.get("ok") == "1", *said)
    return None


def wait_for_answer(registry: Registry, request_id: str, timeout_s: float) -> Answer | None:
    """The answer to a request; None where none came in time: no daemon syncs, or it still works on it."""
    deadline = time.monotonic() + timeout_s
    while (found := find_answer(registry, request_id)) is None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return found


def withdraw(registry: Registry, request_id: str) -> bool:
    """Takes a request back. Returns whether no daemon had taken it: then none does any more, and nothing was done."""
    home = registry.home
    home.client.xdel(home.keys.control, request_id)
    try:
        pending: Any = home.client.xpending_range(home.keys.control, GROUP, request_id, request_id, 1)
    except ResponseError as error:
        if not is_no_group(error):
            raise
        pending = ()  # no daemon has ever looked
    return not pending and find_answer(registry, request_id) is None


def take(registry: Registry, daemon: str) -> list[Request]:
    """Requests for this daemon, in order; those that a dead one has left too.

    A daemon answers all that it has taken before it takes more. So what it has not answered was in a reply that was lost with
    its connection: it comes again, and first.
    """
    home = registry.home
    try:
        known: Any = home.client.xreadgroup(GROUP, daemon, {home.keys.control: "0"}, count=LIMIT)
        fresh: Any = home.client.xreadgroup(GROUP, daemon, {home.keys.control: ">"}, count=LIMIT)
    except ResponseError as error:
        if not (is_no_group(error) or is_wrong_type(error)):
            raise
        if is_wrong_type(error):
            home.client.delete(home.keys.control)
        home.client.xgroup_create(home.keys.control, GROUP, "0", mkstream=True)
        known, fresh = (
            {},
            home.client.xreadgroup(GROUP, daemon, {home.keys.control: ">"}, count=LIMIT),
        )
    entries = [*_entries(known), *_entries(fresh)]
    left: Any = home.client.xautoclaim(home.keys.control, GROUP, daemon, STALE_MS, count=LIMIT)
    requests, seen = [], set()
    others = [entry for entry, _ in left[1]]
    for entry, fields in (*left[1], *entries):
        if entry in seen:
            continue
        seen.add(entry)
        found = {text(name): text(value) for name, value in (fields or {}).items()}
        if found.get("request") in ACTIONS:
            requests.append(replace(_request(text(entry), found), left=entry in others))
        else:
            home.client.xack(home.keys.control, GROUP, entry)
    return requests


def answer(registry: Registry, asked: Request, given: Answer) -> None:
    """Answers a request; it is nobody else's any more."""
    home = registry.home
    outcome = {"ok": "1" if given.ok else "0", "text": given.text, "daemon": given.daemon, "refusal": given.refusal}
    fields: dict[Any, Any] = {"answer": asked.id, **outcome}
    with home.client.pipeline(transaction=True) as pipe:
        pipe.xadd(home.keys.control, fields, maxlen=LIMIT)
        pipe.xack(home.keys.control, GROUP, asked.id)
        pipe.execute()


def _entries(streams: Any) -> list[Any]:
    pairs = streams.items() if isinstance(streams, dict) else streams
    return [entry for _, found in pairs for entry in _flat(found)]


def _flat(found: Any) -> list[Any]:
    """Entries as redis-py gives them: RESP3 has them one list deeper."""
    return found[0] if found and isinstance(found[0], list) else found


def _request(entry: str, found: Mapping[str, str]) -> Request:
    deadline_ms, on = _number(found.get("deadline", ""), 0), _number(found.get("generation", ""), -1)
    return Request(entry, found["request"], found.get("by", ""), deadline_ms, on, _arguments(found))


def _number(value: str, default: int) -> int:
    """What stands in the stream is anybody's who may write there."""
    return int(value) if value.isdecimal() and value.isascii() and len(value) <= DIGITS else default


def _arguments(found: Mapping[str, str]) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in parsed_json(found.get("arguments", "{}")).items()}
    except (ValueError, AttributeError):
        return {}
