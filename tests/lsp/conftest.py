"""A repository of sprocs, and a real client of a real `luasprocs lsp` in it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from lsprotocol import types
from pytest_lsp import client_capabilities, make_test_lsp_client

from tests.daemons import DaemonProcess
from tests.gitrepo import GitRepo
from tests.lsp.raw import RawEditor
from tests.servers import KINDS, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from pytest_lsp import LanguageClient

MONEY = (
    "-- library=yes\n-- description=prices\nlocal M = {}\nfunction M.round(n)\n  return math.floor(n)\nend\nreturn M\n"
)
BUY = "-- description=buys\nlocal money = require('lib/money.lua')\nreturn money.round(ARGV[1])\n"
NIGHTLY = "-- cron=0 3 * * *\n-- timezone=Europe/Berlin\nreturn sproc.call('buy.lua', {}, { 1 })\n"


class Editor:
    """What an editor does: it opens, changes and asks. Places are `line:column` as people count them, from 1."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self._versions: dict[str, int] = {}

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str | None = None) -> None:
        self._versions[name] = 1
        text = (self.folder / name).read_text() if text is None else text
        item = types.TextDocumentItem(self.uri(name), "lua", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, name: str, text: str) -> None:
        self._versions[name] += 1
        document = types.VersionedTextDocumentIdentifier(self._versions[name], self.uri(name))
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def close(self, name: str) -> None:
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(self.document(name)))

    def document(self, name: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(name))

    async def problems(self, name: str, *codes: str) -> list[types.Diagnostic]:
        """Those of a file, as soon as they have these codes."""
        while (told := self.client.diagnostics.get(self.uri(name))) is None or [one.code for one in told] != list(
            codes
        ):
            await self.client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        return list(self.client.diagnostics[self.uri(name)])


class Shop:
    """Sprocs in git and live: `COUNT`, a caller, a library, and one for each test that changes one."""

    def __init__(self, place: Path) -> None:
        (place / "server").mkdir()
        self.server = Server(KINDS[0], place / "server").start()
        self.repo = GitRepo(place / "repo")
        for name, text in {"lib/money.lua": MONEY, "buy.lua": BUY, "nightly.lua": NIGHTLY}.items():
            self.repo.write(f"sprocs/{name}", text)
        for number in range(10):
            self.repo.write(f"sprocs/own{number}.lua", own(number))
        self.repo.write("sprocs/slow.lua", "for _ = 1, 1e8 do end\n")
        self.repo.write("luasprocs.toml", 'owner = "shop"\n')
        self.repo.commit()
        self.environ = {
            **self.repo.environ,
            "LUASPROCS_REDIS": self.server.url,
            "LUASPROCS_SCREEN": str(place / "screen.toml"),
            "XDG_STATE_HOME": str(place),
        }
        self.cli("sync")

    def daemon(self) -> DaemonProcess:
        """One that follows the repository, and commits live edits."""
        return DaemonProcess(self.server.url, command=("daemon",), environ=self.repo.environ, cwd=self.repo.path)

    def commit_live(self, name: str, text: str) -> None:
        """Commits a sproc, and makes it live."""
        self.repo.write(f"sprocs/{name}", text)
        self.repo.commit()
        self.cli("sync")

    def cli(self, *words: str, stdin: str = "") -> str:
        """What a command prints."""
        command = [sys.executable, "-m", "sync.cli", *words]
        done = subprocess.run(
            command, cwd=self.repo.path, env=self.environ, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def own(number: int) -> str:
    """A sproc that one test has for itself."""
    return f"-- description=own {number}\nreturn redis.call('INCR', KEYS[1])\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sprocs of a fresh repository."""
    repo = GitRepo(tmp_path_factory.mktemp("editor"))
    for name, text in {"lib/money.lua": MONEY, "buy.lua": BUY, "nightly.lua": NIGHTLY}.items():
        repo.write(f"sprocs/{name}", text)
    repo.commit()
    return repo.path / "sprocs"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def editor(folder: Path) -> AsyncIterator[Editor]:
    """An editor that has that repository open."""
    client = make_test_lsp_client()
    await client.start_io(sys.executable, "-m", "sync.cli", "lsp", "--stdio")
    root = folder.parent.as_uri()
    started = types.InitializeParams(client_capabilities("visual-studio-code"), root_uri=root)
    started.workspace_folders = [types.WorkspaceFolder(root, "shop")]
    await client.initialize_session(started)
    yield Editor(client, folder)
    await client.shutdown_session()
    await client.stop()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A repository that is live on a server of its own."""
    found = Shop(tmp_path_factory.mktemp("shop"))
    yield found
    found.server.stop()


@pytest.fixture(scope="module")
def ann(shop: Shop) -> Iterator[RawEditor]:
    """An editor in the shop that the tests of a module share, connected."""
    one = RawEditor(shop.repo.path, shop.environ).start().connected()
    yield one
    assert one.end() == 0


@pytest.fixture
def colleague(shop: Shop) -> Iterator[Callable[..., RawEditor]]:
    """Starts an editor in the shop, connected."""
    started: list[RawEditor] = []

    def start(*options: str, top: Path | None = None, **environ: str) -> RawEditor:
        one = RawEditor(top or shop.repo.path, {**shop.environ, **environ}, *options).start()
        started.append(one)
        return one

    yield start
    for one in started:
        assert one.end() == 0
