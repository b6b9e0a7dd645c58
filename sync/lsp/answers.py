"""What the language server answers: the pure answers of `luasprocs.language.editor` in the protocol's words."""

from __future__ import annotations

import time
import zoneinfo
from typing import TYPE_CHECKING

from lsprotocol import types

from luasprocs.language.editor import navigation
from luasprocs.language.editor.colours import KINDS, coloured
from luasprocs.language.editor.command_docs import kept
from luasprocs.language.editor.completion import Names, complete
from luasprocs.language.editor.fixes import fixes, readonly
from luasprocs.language.editor.formatting import formatted
from luasprocs.language.editor.hints import schedule_hints
from luasprocs.language.editor.hover import hover, signature
from luasprocs.language.editor.outline import folds, symbols
from luasprocs.language.metadata import says_yes
from sync.lsp.positions import Positions
from sync.lsp.service import diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.language.editor.command_docs import CommandDoc
    from luasprocs.language.editor.fixes import Fix
    from sync.lsp.service import Asked, Root, Service

_ITEM = {
    "key": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.EnumMember,
    "command": types.CompletionItemKind.Function,
    "library": types.CompletionItemKind.Module,
    "sproc": types.CompletionItemKind.Module,
    "function": types.CompletionItemKind.Function,
    "field": types.CompletionItemKind.Field,
    "keyword": types.CompletionItemKind.Keyword,
    "name": types.CompletionItemKind.Variable,
}
_SYMBOL = {"key": types.SymbolKind.Property, "function": types.SymbolKind.Function}


def _names(root: Root, own: str) -> Names:
    libraries: dict[str, str] = {}
    sprocs: dict[str, str] = {}
    for name in sorted(root.tree.names):
        found = root.diagnosis.analysis(name)
        if found is None or name == own:
            continue
        wanted = libraries if says_yes(found.values, "library") else sprocs
        wanted[name] = found.values.get("description", "")
    return Names(libraries, sprocs, zoneinfo.available_timezones, root.tree.text)


def completion(place: Asked, params: types.CompletionParams) -> list[types.CompletionItem]:
    """What may be written there."""
    at = place.positions.offset(params.position)
    return [
        types.CompletionItem(
            label=one.label,
            kind=_ITEM[one.kind],
            detail=one.detail or None,
            documentation=_markdown(one.doc) if one.doc else None,
            text_edit=types.TextEdit(place.positions.range(one.start, at), one.insert),
            filter_text=one.label,
        )
        for one in complete(place.text, at, _names(place.root, place.name), place.commands or kept())
    ]


def _docs(place: Asked) -> Mapping[str, CommandDoc]:
    """The server's own words on its commands, the table's on others."""
    return {**kept(), **place.commands}


def _markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)


def hovered(place: Asked, params: types.HoverParams) -> types.Hover | None:
    """What the word there is; of a library's or sproc's name, its description."""
    at = place.positions.offset(params.position)
    if found := hover(place.text, at, _docs(place)):
        return types.Hover(_markdown(found.markdown), place.positions.range(found.start, found.end))
    wanted = navigation.target(place.name, place.text, at)
    told = place.root.diagnosis.analysis(wanted.sproc) if wanted and not wanted.member else None
    if wanted and told:
        what = "library" if says_yes(told.values, "library") else "sproc"
        return types.Hover(_markdown(f"**{wanted.sproc}** ({what})\n\n{told.values.get('description', '')}".rstrip()))
    return None


def signatures(place: Asked, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    """The call around a place."""
    found = signature(place.text, place.positions.offset(params.position), _docs(place))
    if found is None:
        return None
    parameters = [types.ParameterInformation(one) for one in found.parameters]
    told = types.SignatureInformation(found.label, found.doc, parameters, found.active)
    return types.SignatureHelp([told], 0, found.active)


def definition(place: Asked, params: types.DefinitionParams) -> types.Location | None:
    """Where the library, its member or the sproc there is defined."""
    root = place.root
    wanted = navigation.target(place.name, place.text, place.positions.offset(params.position))
    text = root.tree.text(wanted.sproc) if wanted else None
    found = navigation.definition(wanted, {wanted.sproc: text}) if wanted and text is not None else None
    return _locations(place, [found])[0] if found else None


def references(place: Asked, params: types.ReferenceParams) -> list[types.Location]:
    """Where it is named, in all sprocs."""
    wanted = navigation.target(place.name, place.text, place.positions.offset(params.position))
    if wanted is None:
        return []
    found = navigation.references_to(wanted, place.root.tree.texts(), declaration=params.context.include_declaration)
    return _locations(place, found)


def _locations(place: Asked, found: Iterable[navigation.Place]) -> list[types.Location]:
    tree, encoding = place.root.tree, place.positions.encoding
    places: dict[str, Positions] = {}
    told = []
    for one in found:
        if one.sproc not in places:
            places[one.sproc] = Positions(tree.text(one.sproc) or "", encoding)
        told.append(types.Location(tree.uri(one.sproc), places[one.sproc].range(one.start, one.end)))
    return told


def outline(place: Asked, _: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    """The header's keys and the functions."""
    ranged = place.positions.range
    return [
        types.DocumentSymbol(
            one.name,
            _SYMBOL[one.kind],
            ranged(one.start, one.end),
            ranged(one.name_start, one.name_end),
            one.detail or None,
        )
        for one in symbols(place.text)
    ]


def workspace_symbols(service: Service, query: str) -> Iterator[types.WorkspaceSymbol]:
    """Sprocs by name, and the members of libraries."""
    wanted = query.lower()
    for root in service.roots:
        for name in sorted(root.tree.names):
            uri = types.LocationUriOnly(root.tree.uri(name))
            if wanted in name.lower():
                yield types.WorkspaceSymbol(uri, name, types.SymbolKind.File)
            found = root.diagnosis.analysis(name)
            positions = service.positions(root, name) if found and says_yes(found.values, "library") else None
            for one in navigation.members(positions.text) if positions else ():
                if positions and wanted in one.name.lower():
                    place = types.Location(root.tree.uri(name), positions.range(one.start, one.end))
                    yield types.WorkspaceSymbol(place, one.name, types.SymbolKind.Function, container_name=name)


def folding(place: Asked, _: types.FoldingRangeParams) -> list[types.FoldingRange]:
    """What folds to a line."""
    found = []
    for start, end, comment in folds(place.text):
        first, last = place.positions.position(start).line, place.positions.position(end).line
        if last > first:
            kind = types.FoldingRangeKind.Comment if comment else None
            found.append(types.FoldingRange(first, last if comment else last - 1, kind=kind))
    return found


def hints(place: Asked, _: types.InlayHintParams) -> list[types.InlayHint]:
    """The next times of its schedule."""
    found = schedule_hints(place.text, time.time() * 1000)
    return [types.InlayHint(place.positions.position(one.at), one.text) for one in found]


def colours(place: Asked, _: types.SemanticTokensParams) -> types.SemanticTokens:
    """The words that a grammar of Lua doesn't know, each by its distance from the one before."""
    data: list[int] = []
    line = column = 0
    for one in coloured(place.text):
        found = place.positions.range(one.start, one.end)
        if found.start.line != found.end.line:
            continue
        start = found.start.character - (column if found.start.line == line else 0)
        data += [found.start.line - line, start, found.end.character - found.start.character, KINDS.index(one.kind), 0]
        line, column = found.start.line, found.start.character
    return types.SemanticTokens(data)


def formatting(place: Asked, _: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """The header's lines as they are usually written."""
    ranged = place.positions.range
    return [types.TextEdit(ranged(one.start, one.end), one.text) for one in formatted(place.text)]


def actions(place: Asked, params: types.CodeActionParams) -> list[types.CodeAction]:
    """What mends the problems in a range."""
    tree, wanted = place.root.tree, params.range
    found: list[types.CodeAction] = []
    names = _names(place.root, place.name)
    for one in place.root.diagnosis.problems.get(place.name, ()):
        told = diagnostic(one, place.positions)
        if _apart(told.range, wanted):
            continue
        for fix in fixes(place.text, one, names.libraries, names.sprocs):
            found.append(_action(place, fix, tree.uri(place.name), [told]))  # noqa: PERF401  # three levels
    analysis = place.root.diagnosis.analysis(place.name)
    commands = [one.name.lower() for one in analysis.references if one.what == "command"] if analysis else []
    calls = analysis is None or any(one.what in {"require", "call", "enqueue"} for one in analysis.references)
    if wanted.start.line == 0 and not calls and (only := readonly(place.text, commands)):
        found.append(_action(place, only, tree.uri(place.name), []))
    return found


def _action(place: Asked, fix: Fix, uri: str, told: list[types.Diagnostic]) -> types.CodeAction:
    edit = types.TextEdit(place.positions.range(fix.start, fix.end), fix.text)
    return types.CodeAction(
        fix.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=told or None,
        is_preferred=(fix.sure and bool(told)) or None,
        edit=types.WorkspaceEdit(changes={uri: [edit]}),
    )


def _apart(one: types.Range, other: types.Range) -> bool:
    return one.end.line < other.start.line or one.start.line > other.end.line
