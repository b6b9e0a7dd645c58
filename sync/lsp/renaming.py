"""Gives a library's member, or a sproc's file, another name wherever it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.uris import from_fs_path

from luasprocs.language.compiler import syntax_problems
from luasprocs.language.editor import navigation
from luasprocs.language.files import name_problem
from luasprocs.language.tokens import tokens
from sync.lsp.positions import Positions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sync.lsp.service import Asked

_NAME = re.compile(r"[A-Za-z_]\w*")


def renamable(place: Asked, params: types.PrepareRenameParams | types.RenameParams) -> types.Range | None:
    """The word there, if it can be renamed: a member of a library, a library's or a sproc's name."""
    at = place.positions.offset(params.position)
    if navigation.target(place.name, place.text, at) is None:
        return None
    word = next(one for one in tokens(place.text) if one.start <= at <= one.end)
    wanted = navigation.target(place.name, place.text, at)
    if wanted and not wanted.member and not word.literal:
        return None  # the local that holds a library: an editor for Lua renames it
    return place.positions.range(word.start, word.end)


def _wrong_member(wanted: navigation.Target, new: str, texts: Mapping[str, str]) -> str:
    """What keeps a member of a library from a name; "" for nothing."""
    if not _NAME.fullmatch(new) or syntax_problems("", f"local {new}".encode()):
        return f"{new!r} is no name in Lua: use letters, digits and _, and no word of Lua"
    there = {one.name for one in navigation.members(texts.get(wanted.sproc, ""))}
    return f"{wanted.sproc} has a member {new} already" if new in there else ""


def _wrong_file(new: str, names: Collection[str]) -> str:
    """The same of a sproc's file."""
    if ".." in new.split("/"):
        return f"{new} would leave the folder of the sprocs"
    return name_problem(new) or (f"there is a sproc {new} already" if new in names else "")


def rename(place: Asked, params: types.RenameParams) -> types.WorkspaceEdit:
    """All that changes.

    Raises:
        JsonRpcInvalidParams: there is nothing to rename, or the new name can't be one.
    """
    tree, new = place.root.tree, params.new_name
    wanted = navigation.target(place.name, place.text, place.positions.offset(params.position))
    if wanted is None or renamable(place, params) is None:
        raise JsonRpcInvalidParams("only a library's member, and the name of a library or sproc, can be renamed here")
    texts = tree.texts()
    if wrong := _wrong_member(wanted, new, texts) if wanted.member else _wrong_file(new, tree.names):
        raise JsonRpcInvalidParams(wrong)
    found = navigation.references_to(wanted, texts, declaration=bool(wanted.member))
    changes: list[types.TextDocumentEdit | types.RenameFile] = []
    for name, edits in navigation.renamed(found, new).items():
        positions = Positions(texts[name], place.positions.encoding)
        document = types.OptionalVersionedTextDocumentIdentifier(
            tree.uri(name), tree.buffers[name].version if name in tree.buffers else None
        )
        told = [types.TextEdit(positions.range(start, end), text) for start, end, text in edits]
        changes.append(types.TextDocumentEdit(document, told))
    if not wanted.member:
        changes.append(types.RenameFile(tree.uri(wanted.sproc), from_fs_path(str(tree.folder / new)) or ""))
    return types.WorkspaceEdit(document_changes=changes)
