"""The requests of its own that the language server answers: docs/language_server.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.language.files import SOURCE_LIMIT_BYTES
from sync.lsp import changes, reads
from sync.lsp.failures import failed
from sync.lsp.shapes import read

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from sync.lsp.connecting import Connected
    from sync.lsp.live import LiveData
    from sync.lsp.service import Service
    from sync.lsp.texts import Texts


class Desk(NamedTuple):
    """Where requests are answered: what the editor has, and what is live."""

    service: Service
    live: LiveData


Answer = Callable[[Desk, dict[str, Any]], Awaitable[dict[str, Any]]]

_TOO_LARGE = f", or larger than {SOURCE_LIMIT_BYTES:,} bytes, which no sproc may be"


async def _state(desk: Desk, _: dict[str, Any]) -> dict[str, Any]:
    return desk.live.look.state()


async def _list(desk: Desk, _: dict[str, Any]) -> dict[str, Any]:
    found = await desk.live.ask(reads.listed)
    root = next((one for one in desk.service.roots if one.tree.top == desk.live.top), None)
    names = root.tree.names if root else ()
    return {
        "sprocs": [
            one | {"uri": root.tree.uri(one["name"]) if root and one["name"] in names else None} for one in found
        ]
    }


async def _run(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    name = given["name"]

    def act(connected: Connected) -> dict[str, Any]:
        changes.require_allowed(connected, name, given.get("confirm", ""))
        return reads.executed(connected, name, given.get("keys", ()), given.get("args", ()))

    return await desk.live.ask(act)


async def _live(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    return await desk.live.ask(partial(reads.live_source, name=given["name"]))


async def _publish(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    place = desk.service.place(given["uri"])
    if place is None:
        desk.service.moved([given["uri"]])  # a new file, which the client hasn't told of yet
        place = desk.service.place(given["uri"])
    if place is None or place.root.tree.top != desk.live.top:
        raise failed(
            "not_a_sproc", f"{given['uri']} is no sproc of {desk.live.top}, the work tree with live data{_TOO_LARGE}"
        )
    tree, name = place.root.tree, place.name
    text, path = place.text, tree.file(name)
    if "\ufffd" in text and tree.unreadable(name):
        raise failed("refused", f"{path} is not UTF-8, and the editor has lost what it can't show: save it as UTF-8")
    texts = desk.service.texts(place)
    await desk.live.heads_known()
    proposal = changes.Proposal(
        name,
        text.encode("utf-8", "surrogateescape"),
        (path.relative_to(tree.top) if path.is_relative_to(tree.top) else path).as_posix(),
        given.get("force", {}).get("blob", ""),
        texts.knows,
        texts.new,
    )
    done = await desk.live.ask(partial(changes.publish, proposal=proposal, confirm=given.get("confirm", "")))
    desk.live.changed()
    if not done.done:
        return _conflict(done, texts, text)
    texts.published(text)
    return {"published": True, "generation": done.generation, "blob": done.blob}


def _conflict(done: changes.Published, texts: Texts | None, yours: str | None) -> dict[str, Any]:
    live = done.now.source.decode("utf-8", "replace") if done.now else None
    blob = done.now.blob if done.now else ""
    told = {"base": texts.base if texts else None, "live": live, "yours": yours, "blob": blob}
    return {"published": False, "conflict": told}


async def _history(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    count = given.get("limit", reads.HISTORY_COUNT)
    return {"generations": await desk.live.ask(partial(reads.history, name=given.get("name", ""), limit=count))}


async def _rollback(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    name, dry = given["name"], given.get("dry_run", False)

    def act(connected: Connected) -> dict[str, Any]:
        if not dry:
            changes.require_allowed(connected, name, given.get("confirm", ""))
        return changes.roll_back(connected, name, given["generation"], why=given.get("why", ""), dry=dry)

    found = await desk.live.ask(act)
    desk.live.changed()
    return found


async def _metadata(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    return await desk.live.ask(partial(reads.metadata, name=given["name"]))


async def _set_metadata(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    name = given["name"]

    def act(connected: Connected) -> changes.Published:
        changes.require_allowed(connected, name, given.get("confirm", ""))
        return changes.set_metadata(connected, name, given["changes"], given["blob"])

    done = await desk.live.ask(act)
    desk.live.changed()
    if not done.done:
        return _conflict(done, None, None)
    source = done.source.decode("utf-8", "replace")
    return {"published": True, "generation": done.generation, "blob": done.blob, "source": source}


async def _pause(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    name = given["name"]

    def act(connected: Connected) -> dict[str, Any]:
        changes.require_allowed(connected, name, given.get("confirm", ""))
        return changes.set_paused(connected, name, paused=given["paused"])

    found = await desk.live.ask(act)
    desk.live.changed()
    return found


async def _tail(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    await desk.live.tail(on=given["on"])
    return {"on": given["on"]}


ANSWERS: Mapping[str, Answer] = {
    "luasprocs/state": _state,
    "luasprocs/list": _list,
    "luasprocs/run": _run,
    "luasprocs/live": _live,
    "luasprocs/publish": _publish,
    "luasprocs/history": _history,
    "luasprocs/rollback": _rollback,
    "luasprocs/metadata": _metadata,
    "luasprocs/setMetadata": _set_metadata,
    "luasprocs/pause": _pause,
    "luasprocs/tail": _tail,
}


def register(server: LanguageServer, desk: Desk) -> None:
    """Makes the server answer them."""
    for method, answer in ANSWERS.items():
        server.feature(method)(_answering(method, answer, desk))


def _answering(method: str, answer: Answer, desk: Desk) -> Callable[[Any], Awaitable[dict[str, Any]]]:
    async def answered(params: Any) -> dict[str, Any]:
        return await answer(desk, read(method, params))

    return answered
