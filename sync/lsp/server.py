"""The language server: `luasprocs lsp`. Each request of the protocol and who answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from luasprocs.language.editor.colours import KINDS
from sync.lsp import answers, renaming
from sync.lsp.lenses import key_hints, lenses
from sync.lsp.live import LiveData
from sync.lsp.protocol import PatientServer
from sync.lsp.requests import Desk, register
from sync.lsp.service import Asked, Service

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

_FILES = types.FileOperationFilter(types.FileOperationPattern("**/*.lua"), scheme="file")
_OPERATIONS = types.FileOperationRegistrationOptions([_FILES])


Answer = Callable[[Asked, Any], Any]
ANSWERS: Mapping[str, tuple[Answer, object]] = {
    types.TEXT_DOCUMENT_COMPLETION: (
        answers.completion,
        types.CompletionOptions(trigger_characters=["'", '"', ".", "=", "-", "@", ",", "/"]),
    ),
    types.TEXT_DOCUMENT_HOVER: (answers.hovered, None),
    types.TEXT_DOCUMENT_SIGNATURE_HELP: (
        answers.signatures,
        types.SignatureHelpOptions(trigger_characters=["(", ","]),
    ),
    types.TEXT_DOCUMENT_DEFINITION: (answers.definition, None),
    types.TEXT_DOCUMENT_REFERENCES: (answers.references, None),
    types.TEXT_DOCUMENT_DOCUMENT_SYMBOL: (answers.outline, None),
    types.TEXT_DOCUMENT_FOLDING_RANGE: (answers.folding, None),
    types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL: (answers.colours, types.SemanticTokensLegend(list(KINDS), [])),
    types.TEXT_DOCUMENT_FORMATTING: (answers.formatting, None),
    types.TEXT_DOCUMENT_CODE_ACTION: (
        answers.actions,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    ),
    types.TEXT_DOCUMENT_PREPARE_RENAME: (renaming.renamable, None),
    types.TEXT_DOCUMENT_RENAME: (renaming.rename, types.RenameOptions(prepare_provider=True)),
}
"""What is asked of a sproc, who answers it, and what the client is told of that."""


def make_server(flags: Mapping[str, object], context: str = "") -> LanguageServer:
    """A server that isn't started. `flags`: see `Session`; `context`: the name of one, "" for none.

    Texts come whole: see `sync.lsp.positions`.
    """
    server = PatientServer(version("luasprocs"))
    live = LiveData(server, flags, context)
    service = Service(server, live)
    for method, (answer, options) in ANSWERS.items():
        server.feature(method, options)(_answering(service, answer))
    server.feature(types.TEXT_DOCUMENT_CODE_LENS)(_answering(service, partial(_lenses, live)))
    server.feature(types.TEXT_DOCUMENT_INLAY_HINT)(_answering(service, partial(_hints, live)))
    server.feature(types.SHUTDOWN)(lambda _: live.end())
    register(server, Desk(service, live))
    _buffers(server, service)
    _files(server, service)
    return server


def _answering(service: Service, answer: Answer) -> Callable[[Any], Any]:
    """Answers for a sproc, with what is wrong with it up to date; nothing for any other file."""

    def answered(params: Any) -> Any:
        service.flush()
        place = service.place(params.text_document.uri)
        return answer(place, params) if place else None

    return answered


def _lenses(live: LiveData, place: Asked, _: types.CodeLensParams) -> list[types.CodeLens]:
    return lenses(place, live)


def _hints(live: LiveData, place: Asked, params: types.InlayHintParams) -> list[types.InlayHint]:
    return [*answers.hints(place, params), *key_hints(place, live)]


def _buffers(server: LanguageServer, service: Service) -> None:
    @server.feature(types.INITIALIZED)
    def initialized(_: types.InitializedParams) -> None:
        folders = [one.uri for one in server.workspace.folders.values()]
        for uri in folders or [server.workspace.root_uri]:
            service.open_folder(uri)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        service.changed(document.uri, document.text, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: types.DidChangeTextDocumentParams) -> None:
        for change in params.content_changes[-1:]:  # whole texts: see `make_server`
            service.changed(params.text_document.uri, change.text, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        service.changed(params.text_document.uri, None)

    @server.feature(types.WORKSPACE_SYMBOL)
    def symbols(params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
        return list(answers.workspace_symbols(service, params.query))


def _files(server: LanguageServer, service: Service) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        service.moved([params.text_document.uri])

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched(params: types.DidChangeWatchedFilesParams) -> None:
        service.moved(one.uri for one in params.changes)

    @server.feature(types.WORKSPACE_DID_CREATE_FILES, _OPERATIONS)
    def created(params: types.CreateFilesParams) -> None:
        service.moved(one.uri for one in params.files)

    @server.feature(types.WORKSPACE_DID_DELETE_FILES, _OPERATIONS)
    def deleted(params: types.DeleteFilesParams) -> None:
        service.moved(one.uri for one in params.files)

    @server.feature(types.WORKSPACE_DID_RENAME_FILES, _OPERATIONS)
    def renamed(params: types.RenameFilesParams) -> None:
        service.moved(uri for one in params.files for uri in (one.old_uri, one.new_uri))
