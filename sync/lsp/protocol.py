"""A language server that nonsense doesn't end: what can't be read is answered with an error, and said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import FeatureRequestError, JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, LanguageServerProtocol, default_converter
from pygls.protocol.language_server import lsp_method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cattrs import Converter

SAID_LIMIT = 20
"""So many different errors of one client are said."""
_NOTHING = JsonRPCNotification("$/luasprocs/nothing", "2.0", None)


class PatientProtocol(LanguageServerProtocol):
    """pygls drops a request whose params it can't read: its client would wait for ever."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            asked = data.get("id")
            if "method" not in data or not isinstance(asked, int | str):
                raise
            self._send_response(asked, error=error.to_response_error())
            return _NOTHING

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Iterator[Any]:
        """pygls' own fails if one of two spellings of a URI was closed, which it takes for one; `Tree` keeps the texts."""
        if handler := self.fm.features.get(types.TEXT_DOCUMENT_DID_CHANGE):
            yield handler, (params,), None


class PatientServer(LanguageServer):
    """A server whose log is as long as what goes wrong is various."""

    def __init__(self, version: str) -> None:
        whole = types.TextDocumentSyncKind.Full
        super().__init__(
            "luasprocs", version, whole, protocol_cls=PatientProtocol, converter_factory=_with_params_as_they_are
        )
        self._said: set[str] = set()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """What no answer tells the client."""
        if source is not FeatureRequestError:
            self.log(types.MessageType.Warning, f"luasprocs: a message could not be read: {error}")

    def log(self, kind: types.MessageType, message: str) -> None:
        """Says something in the client's log; the same no second time."""
        if message not in self._said and len(self._said) < SAID_LIMIT:
            self._said.add(message)
            self.window_log_message(types.LogMessageParams(kind, message))


def _with_params_as_they_are() -> Converter:
    """pygls makes objects of the params of methods that the protocol doesn't have, and loses keys that are no names in Python."""
    made: Converter = default_converter()  # type: ignore[no-untyped-call]
    made.register_structure_hook(
        JsonRPCRequestMessage, lambda data, kind: kind(data["id"], data["method"], data["jsonrpc"], data.get("params"))
    )
    made.register_structure_hook(
        JsonRPCNotification, lambda data, kind: kind(data["method"], data["jsonrpc"], data.get("params"))
    )
    return made
