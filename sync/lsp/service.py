"""What the language server knows: work trees, the buffers over them, and what is wrong with both, told as it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lsprotocol import types
from pygls.uris import to_fs_path

from luasprocs.language.decoding import without_halves
from luasprocs.language.files import SOURCE_LIMIT_BYTES
from luasprocs.language.places import Lines, Range
from sync.git.checkout import find_top
from sync.lsp.diagnosis import CHUNK, Diagnosis
from sync.lsp.positions import Positions
from sync.lsp.texts import Texts
from sync.lsp.tree import Buffer, Tree
from sync.repository_settings import SETTINGS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pygls.lsp.server import LanguageServer

    from luasprocs.errors import Problem
    from luasprocs.language.editor.command_docs import CommandDoc
    from sync.lsp.live import LiveData

DEBOUNCE_S = 0.03
"""How long after a key the problems are looked for."""
_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "misuse": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
}


class Root(NamedTuple):
    """A work tree and what is wrong with it."""

    tree: Tree
    diagnosis: Diagnosis


class Asked(NamedTuple):
    """A sproc that is asked about: its root, its name, its text with the places of it; `commands` as the server has them."""

    root: Root
    name: str
    positions: Positions
    commands: Mapping[str, CommandDoc] = {}

    @property
    def text(self) -> str:
        return self.positions.text


class Service:
    """The state behind a server. All of it lives in the server's event loop."""

    def __init__(self, server: LanguageServer, live: LiveData) -> None:
        self._server, self._live = server, live
        self._roots: dict[Path, Root] = {}
        self._dirty: dict[tuple[Path, str], None] = {}
        self._texts: dict[tuple[Path, str], Texts] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def encoding(self) -> types.PositionEncodingKind:
        """The units of columns that the client takes."""
        return types.PositionEncodingKind(self._server.workspace.position_encoding)

    @property
    def roots(self) -> Iterable[Root]:
        """All work trees so far."""
        return self._roots.values()

    def open_folder(self, uri: str | None) -> None:
        """Looks at all sprocs around a folder."""
        path = to_fs_path(uri) if uri else None
        if path and (top := find_top(Path(path))):
            self._root(top)

    def root_of(self, uri: str) -> Root | None:
        """The work tree that a file is in, or would be."""
        path = to_fs_path(uri) if uri.startswith("file:") else None
        if path is None:
            return None
        folder = Path(path).parent
        return self._root(find_top(folder) or folder)

    def place(self, uri: str) -> Asked | None:
        """A sproc by its URI; None if it is none, or too large to be one: what can't be live is not worth a wait."""
        root = self.root_of(uri)
        name = root.tree.name_of(uri) if root else None
        text = root.tree.text(name) if root and name else None
        if text is not None and len(text) > SOURCE_LIMIT_BYTES:
            return None
        if root is None or name is None or text is None:
            return None
        live = self._live.look.commands if root.tree.top == self._live.top else {}
        return Asked(root, name, Positions(text, self.encoding), live)

    def positions(self, root: Root, name: str) -> Positions | None:
        """The places of another sproc's text."""
        text = root.tree.text(name)
        return None if text is None else Positions(text, self.encoding)

    def changed(self, uri: str, text: str | None, version: int | None = None) -> None:
        """A buffer has another text now; None: it is closed, and the file counts."""
        root = self.root_of(uri)
        name = root.tree.name_of(uri) if root else None
        if root is None or name is None:
            return
        if text is None:
            root.tree.buffers.pop(name, None)
            self._texts.pop((root.tree.top, name), None)
            root.tree.moved()
        else:
            text = without_halves(text)
            root.tree.buffers[name] = Buffer(text, version, uri)
            self._had(root, name, text).has(text)
        if root.tree.top == self._live.top:
            self._live.shows(list(root.tree.buffers))
        self._mark(root, [name])

    def texts(self, place: Asked) -> Texts:
        """The texts that a buffer has had; of a file that isn't open the one that it has."""
        if place.name in place.root.tree.buffers:
            return self._had(place.root, place.name, place.text)
        return self._opened(place.root, place.name, place.text)

    def _had(self, root: Root, name: str, text: str) -> Texts:
        key = (root.tree.top, name)
        if key not in self._texts:
            self._texts[key] = self._opened(root, name, text)
        return self._texts[key]

    def _opened(self, root: Root, name: str, text: str) -> Texts:
        texts = Texts(text)
        self._live.remember_head(texts, root.tree.file(name))
        return texts

    def moved(self, uris: Iterable[str]) -> None:
        """Files were made, changed, renamed or deleted."""
        for uri in uris:
            root = self.root_of(uri)
            if root is None:
                continue
            root.tree.moved()
            if uri.endswith(f"/{SETTINGS_FILE}"):
                self._live.changed()
            name = root.tree.name_of(uri)
            self._mark(root, root.tree.names if name is None else [name])

    def flush(self) -> None:
        """Looks now for what changed, and tells it."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        dirty, self._dirty = self._dirty, {}
        for top, root in self._roots.items():
            names = [name for where, name in dirty if where == top]
            if len(names) > CHUNK:
                self._later(root, names)
            elif names:
                concerned = {one for name in names for one in root.diagnosis.concerned(name)}
                self._tell(
                    root, root.diagnosis.update(concerned) | {name for name in names if name in root.tree.buffers}
                )

    def _root(self, top: Path) -> Root:
        if top not in self._roots:
            tree = Tree(top)
            root = self._roots[top] = Root(tree, Diagnosis(tree))
            self._later(root, tree.names)
            if tree.names or (top / SETTINGS_FILE).is_file():
                self._live.start(top)
        return self._roots[top]

    def _mark(self, root: Root, names: Iterable[str]) -> None:
        self._dirty.update(((root.tree.top, name), None) for name in names)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DEBOUNCE_S, self.flush)

    def _later(self, root: Root, names: Iterable[str]) -> None:
        task = asyncio.get_running_loop().create_task(self._all(root, sorted(names)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _all(self, root: Root, names: list[str]) -> None:
        for at in range(0, len(names), CHUNK):
            for name in names[at : at + CHUNK]:
                root.diagnosis.analysis(name)
            await asyncio.sleep(0)
        self._tell(root, root.diagnosis.update(names))

    def _tell(self, root: Root, names: Iterable[str]) -> None:
        for name in sorted(names):
            positions = Positions(root.tree.text(name) or "", self.encoding)  # of a file too large nothing is read
            told = [diagnostic(one, positions) for one in root.diagnosis.problems.get(name, ())]
            buffer = root.tree.buffers.get(name)
            params = types.PublishDiagnosticsParams(root.tree.uri(name), told, buffer.version if buffer else None)
            self._server.text_document_publish_diagnostics(params)


def diagnostic(one: Problem, positions: Positions) -> types.Diagnostic:
    """A problem as the protocol has it."""
    start, end = Lines(positions.text).offsets(Range(one.line, one.column, one.end_line, one.end_column))
    return types.Diagnostic(
        range=positions.range(start, end),
        message=one.message,
        severity=_SEVERITIES[one.kind],
        code=one.code,
        source="luasprocs",
    )
