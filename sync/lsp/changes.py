"""What the language server changes in a registry, for a thread that may wait: each as the command line does it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.errors import EditConflictError, NoSprocError, ProblemsError, RegistryError, RepositoryError
from luasprocs.language.compiler import syntax_problems
from luasprocs.language.sproc import read_sproc
from luasprocs.operations.edit import create, edit, edit_metadata
from luasprocs.operations.identity import author, user_at_host
from luasprocs.operations.pause import pause, resume
from luasprocs.operations.rollback import preview, rollback
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.edits import blob_like
from sync.git.config import git_user
from sync.lsp.failures import failed
from sync.reconcile.ownership import owner_check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.revision import Revision
    from sync.lsp.connecting import Connected


def require_allowed(connected: Connected, name: str, confirm: str) -> None:
    """Raises JsonRpcException: the context is read-only, or is production and `confirm` isn't the sproc's name."""
    context = connected.context
    if context.read_only:
        raise failed("read_only", f"the context {context.name} is read-only: nothing is changed there")
    if context.production and confirm != name:
        raise failed("confirm", f"{context.name} is production: confirm this with the sproc's name, {name}")


class Published(NamedTuple):
    """`generation` None: it was live already. `now`: what is live instead, if that is what nobody here has seen; None: gone."""

    done: bool
    generation: int | None = None
    blob: str = ""
    source: bytes = b""
    now: Sproc | None = None


class Proposal(NamedTuple):
    """A text that shall be live. `path`: of its file, from the repository's top; `blob`: the live one that it may replace, or ""
    and `seen` says so of a live text. `new`: neither git nor a registry had it, as far as its author knows.
    """

    name: str
    source: bytes
    path: str
    blob: str
    seen: Callable[[bytes], bool]
    new: bool


def publish(connected: Connected, proposal: Proposal, confirm: str) -> Published:
    """Makes a text live in place of one that its author has seen."""
    name = proposal.name
    require_allowed(connected, name, confirm)
    registry, source = connected.registry, _stored(connected, proposal.path, proposal.source)
    read_sproc(name, name, source, "")
    if problems := syntax_problems(name, source):  # the server knows no columns
        raise ProblemsError(problems)
    try:
        now = live_sproc(registry, name)
    except NoSprocError:
        if not proposal.new:
            raise failed("no_sproc", f"{name} is not live: commit it, and run luasprocs sync") from None
        check = owner_check(registry, lambda: connected.session.repository)
        return _applied(connected, name, partial(create, registry, name, source, by=_author(connected), check=check))
    allowed = now.blob == proposal.blob if proposal.blob else proposal.seen(now.source)
    if not allowed and now.source != source:
        return Published(done=False, now=now)
    return _applied(connected, name, partial(edit, registry, name, source, base=now.blob, by=_author(connected)))


def set_metadata(connected: Connected, name: str, changes: Mapping[str, str | None], blob: str) -> Published:
    """Changes keys of a live header."""
    registry, by = connected.registry, _author(connected)
    return _applied(connected, name, partial(edit_metadata, registry, name, changes, base=blob, by=by))


def _applied(connected: Connected, name: str, change: Callable[[], Revision | None]) -> Published:
    try:
        revision = change()
    except EditConflictError:
        return Published(done=False, now=live_sproc(connected.registry, name))
    now = live_sproc(connected.registry, name)
    return Published(True, revision.generation if revision else None, now.blob, now.source)


def _stored(connected: Connected, path: str, source: bytes) -> bytes:
    """What git would keep of it: line ends and filters are the repository's business."""
    try:
        repository = connected.session.repository
    except RepositoryError:
        return source
    return repository.cleaned({path: source}).get(path, ("", source))[1]


def _author(connected: Connected) -> str:
    return author(partial(git_user, connected.session.settings.repo))


def roll_back(connected: Connected, name: str, generation: int, *, why: str, dry: bool) -> dict[str, Any]:
    """Makes a sproc what it was, or tells what that would be."""
    registry = connected.registry
    before = preview(registry, generation, name)
    found = next((one for one in before.differences if one.name == name), None)
    if found is None:
        raise RegistryError(f"{name} is as in generation {generation}: see luasprocs history")
    if found.lost:
        raise RegistryError(f"the source of blob {found.lost} is no longer kept: nothing can bring it back but git")
    told = {"source": _text(found.after), "live": _text(found.before), "generation": before.live}
    if not dry:
        check = owner_check(registry, lambda: connected.session.repository)
        outcome = rollback(registry, generation, by=user_at_host(), why=why, sproc=name, check=check)
        told["generation"] = outcome.generation
    return told


def set_paused(connected: Connected, name: str, *, paused: bool) -> dict[str, Any]:
    """Stops a sproc's triggers or starts them again."""
    with connected.changing("status"):
        registry = connected.registry
        done = pause(registry, [name], by=user_at_host()) if paused else resume(registry, [name])
    return {"paused": paused, "changed": bool(done.changed)}


def same_text(blob: str, text: str) -> bool:
    """Whether a blob is this text, with its own line ends or git's."""
    sources = {text, text.replace("\r\n", "\n")}
    return any(blob_like(blob, one.encode("utf-8", "surrogateescape")) == blob for one in sources)


def _text(source: bytes | None) -> str | None:
    return None if source is None else source.decode("utf-8", "replace")
