"""A sproc as its hash stores it, and the digest that says whether somebody changed that by hand."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.records import DIGESTED
from luasprocs.language.sproc import Sproc

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELDS = tuple(name.encode() for name in DIGESTED)


def digest(fields: Mapping[bytes, bytes]) -> str:
    """The SHA1 that says whether a sproc's hash is as it was applied; inspect.lua computes the same."""
    parts = [part for name in _FIELDS if name in fields for part in (name, fields[name])]
    if len(parts) < 2 * len(fields):
        parts += sorted(_sha1(name + b"\0" + fields[name]).encode() for name in fields.keys() - set(_FIELDS))
    return _sha1(b"\0".join(parts))


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def fields_of(sproc: Sproc) -> dict[bytes, bytes]:
    """A sproc as its hash stores it."""
    fields = {key.encode(): value.encode("utf-8", "surrogateescape") for key, value in sproc.values.items()}
    fields[b"source"] = sproc.source
    if sproc.edit:
        fields[b"edit"] = raw(sproc.edit)
    fields[b"sha"], fields[b"blob"], fields[b"commit"] = sproc.sha.encode(), raw(sproc.blob), raw(sproc.commit)
    return fields


def sproc_of(name: str, stored: Mapping[bytes, bytes]) -> Sproc:
    """A sproc from its hash."""
    texts = {text(key): value for key, value in stored.items()}
    source = texts.pop("source", b"")
    own = {key: text(texts.pop(key, b"")) for key in ("sha", "blob", "commit", "edit")}
    values = {key: text(value) for key, value in texts.items()}
    return Sproc(name, source, own["blob"], values, own["commit"], own["edit"])
