"""Makes a folder of sprocs live without git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.keys import Keys
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc
from luasprocs.operations.put import put as put_live
from luasprocs.registry.revision import Revision
from luasprocs.registry.transaction import Change
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis


def sproc(name: str, source: str | bytes, commit: str = "c1") -> Sproc:
    """A sproc as a commit would give it."""
    data = source.encode() if isinstance(source, str) else source
    return read_sproc(name, name, data, git_blob_id(data), commit)


def change(*put: Sproc, names: tuple[str, ...] | None = None, deleted: tuple[str, ...] = (), **other: object) -> Change:
    """A change by the owner "tests"; `names` default to those put."""
    fields: dict[str, object] = {
        "commit": "c1", "branch": "main", "owner": "tests", "author": "T <t@t>", "subject": "s", "applied_by": "t@t",
    }  # fmt: skip
    listed = tuple(sorted(one.name for one in put)) if names is None else names
    return Change(put=put, deleted=deleted, names=listed, **{**fields, **other})  # type: ignore[arg-type]


def put(client: Redis, *sprocs: Sproc, keys: Keys | None = None, **other: object) -> Revision:
    """Makes exactly these sprocs live."""
    return put_live(Registry(client, keys or Keys()), sprocs, about=change(**other))  # type: ignore[arg-type]


def make_live(client: Redis, folder: Path) -> None:
    """Makes every `.lua` file below a folder live."""
    paths = sorted(folder.rglob("*.lua"))
    put(client, *(sproc(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths))
