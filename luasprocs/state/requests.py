"""Requests to the daemons that sync, and their answers: a stream, so that who asks needs nothing but Redis.

A request is taken by one daemon (a consumer group). An answer names the request's id.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import text
from luasprocs.server.errors import is_no_group, is_wrong_type
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping


ACTIONS = ("sync", "rollback", "fetch")
GROUP = "daemons"
LIMIT = 1000
STALE_MS = 30_000
"""A request that its daemon has had for so long is another's."""
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Request:
    """`action`: one of ACTIONS; `by`: who asks; `arguments`: `revision` for sync, `generation` for rollback."""

    id: str
    action: str
    by: str
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`ok` or not, and what happened as a sentence."""

    ok: bool
    text: str
    daemon: str = ""


def request(registry: Registry, action: str, by: str, **arguments: str) -> str:
    """Asks the daemons. Returns the request's id."""
    fields: dict[Any, Any] = {"request": action, "by": by, "arguments": json.dumps(arguments)}
    added: Any = registry.client.xadd(registry.keys.control, fields, maxlen=LIMIT)
    return text(added)


def wait_for_answer(registry: Registry, request_id: str, timeout_s: float) -> Answer | None:
    """The answer to a request; None where none came in time: no daemon syncs, or it still works on it."""
    deadline = time.monotonic() + timeout_s
    while True:
        entries: Any = registry.client.xrange(registry.keys.control, f"({request_id}", "+")
        for _, fields in entries:
            found = {text(name): text(value) for name, value in fields.items()}
            if found.get("answer") == request_id:
                return Answer(found.get("ok") == "1", found.get("text", ""), found.get("daemon", ""))
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL_S)


def take(registry: Registry, daemon: str) -> list[Request]:
    """Requests for this daemon, in order; those that a dead one has left too.

    A daemon answers all that it has taken before it takes more. So what it has not answered was in a reply that was lost with
    its connection: it comes again, and first.
    """
    try:
        known: Any = registry.client.xreadgroup(GROUP, daemon, {registry.keys.control: "0"}, count=LIMIT)
        fresh: Any = registry.client.xreadgroup(GROUP, daemon, {registry.keys.control: ">"}, count=LIMIT)
    except ResponseError as error:
        if not (is_no_group(error) or is_wrong_type(error)):
            raise
        if is_wrong_type(error):
            registry.client.delete(registry.keys.control)
        registry.client.xgroup_create(registry.keys.control, GROUP, "0", mkstream=True)
        known, fresh = {}, registry.client.xreadgroup(GROUP, daemon, {registry.keys.control: ">"}, count=LIMIT)
    entries = [*_entries(known), *_entries(fresh)]
    left: Any = registry.client.xautoclaim(registry.keys.control, GROUP, daemon, STALE_MS, count=LIMIT)
    requests, seen = [], set()
    for entry, fields in (*left[1], *entries):
        if entry in seen:
            continue
        seen.add(entry)
        found = {text(name): text(value) for name, value in (fields or {}).items()}
        if found.get("request") in ACTIONS:
            requests.append(Request(text(entry), found["request"], found.get("by", ""), _arguments(found)))
        else:
            registry.client.xack(registry.keys.control, GROUP, entry)
    return requests


def answer(registry: Registry, asked: Request, given: Answer) -> None:
    """Answers a request; it is nobody else's any more."""
    outcome = {"ok": "1" if given.ok else "0", "text": given.text, "daemon": given.daemon}
    fields: dict[Any, Any] = {"answer": asked.id, **outcome}
    with registry.client.pipeline(transaction=True) as pipe:
        pipe.xadd(registry.keys.control, fields, maxlen=LIMIT)
        pipe.xack(registry.keys.control, GROUP, asked.id)
        pipe.execute()


def _entries(streams: Any) -> list[Any]:
    pairs = streams.items() if isinstance(streams, dict) else streams
    return [entry for _, found in pairs for entry in _flat(found)]


def _flat(found: Any) -> list[Any]:
    """Entries as redis-py gives them: RESP3 has them one list deeper."""
    return found[0] if found and isinstance(found[0], list) else found


def _arguments(found: Mapping[str, str]) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in json.loads(found.get("arguments", "{}")).items()}
    except (ValueError, AttributeError):
        return {}
