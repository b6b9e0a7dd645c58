"""An editor without a library: it sends and gets the protocol's messages as they are."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CAPABILITIES = {
    "workspace": {"codeLens": {"refreshSupport": True}, "inlayHint": {"refreshSupport": True}},
    "general": {"positionEncodings": ["utf-16"]},
}


class RefusedError(Exception):
    """An answer that is an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.number: int = error["code"]
        self.data: dict[str, Any] = error.get("data") or {}
        self.code: str = self.data.get("code", "")


class RawEditor:
    """With a language server of its own in a folder, the repository's top. `sprocs`: the folder of its files."""

    def __init__(self, top: Path, environ: Mapping[str, str], *options: str) -> None:
        self.top, self.sprocs = top, top / "sprocs"
        command = [sys.executable, "-m", "sync.cli", *options[:-1], "lsp", *options[-1:]]
        self.process = subprocess.Popen(
            command, cwd=top, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.came: list[dict[str, Any]] = []
        self._number, self._more = 0, threading.Condition()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def start(self) -> RawEditor:
        uri = self.top.as_uri()
        self.request("initialize", {"processId": None, "rootUri": uri, "capabilities": CAPABILITIES})
        self.notify("initialized", {})
        return self

    def _listen(self) -> None:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            size = int(line.partition(b":")[2]) if line.lower().startswith(b"content-length:") else 0
            while self.process.stdout.readline().strip():
                pass
            message = json.loads(self.process.stdout.read(size))
            if "id" in message and "method" in message:
                with contextlib.suppress(OSError, ValueError):  # the test has closed it
                    self.send({"id": message["id"], "result": None})
            with self._more:
                self.came.append(message)
                self._more.notify_all()

    def send(self, message: dict[str, Any]) -> None:
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body: bytes, size: int | None = None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body) if size is None else size, body))
        self.process.stdin.flush()

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> int:
        """Sends a request, and does not wait. Its number."""
        self._number += 1
        self.send({"id": self._number, "method": method, "params": params})
        return self._number

    def answer(self, number: int, within_s: float = PATIENCE_S) -> Any:
        found = self.wait(lambda one: one.get("id") == number and "method" not in one, within_s)
        if "error" in found:
            raise RefusedError(found["error"])
        return found.get("result")

    def request(self, method: str, params: Any) -> Any:
        return self.answer(self.ask(method, params))

    def own(self, method: str, **params: Any) -> dict[str, Any]:
        """One of luasprocs' own."""
        found: dict[str, Any] = self.request(f"luasprocs/{method}", params)
        return found

    def wait(self, wanted: Callable[[dict[str, Any]], object], within_s: float = PATIENCE_S, since: int = 0) -> Any:
        """The first message like that, of those behind the first `since`."""
        until_s = time.monotonic() + within_s
        with self._more:
            while True:
                for one in self.came[since:]:
                    if wanted(one):
                        return one
                since = len(self.came)
                assert self._more.wait(until_s - time.monotonic()), f"it never came; the last were {self.came[-5:]}"

    def told(self, method: str, wanted: Callable[[dict[str, Any]], object], since: int = 0) -> dict[str, Any]:
        """The params of the first notification of a kind like that."""
        found = self.wait(lambda one: one.get("method") == method and wanted(one["params"]), since=since)
        params: dict[str, Any] = found["params"]
        return params

    def problems(self, name: str, codes: list[str], since: int = 0) -> None:
        """Waits until a file has problems with these codes."""
        self.told(
            "textDocument/publishDiagnostics",
            lambda one: one["uri"] == self.uri(name) and [found["code"] for found in one["diagnostics"]] == codes,
            since,
        )

    def notified(self, method: str) -> list[dict[str, Any]]:
        """The params of all notifications of a kind so far."""
        return [one["params"] for one in self.came if one.get("method") == method]

    def state(self, wanted: Callable[[dict[str, Any]], object], since: int = 0) -> dict[str, Any]:
        return self.told("luasprocs/stateChanged", wanted, since)

    def connected(self) -> RawEditor:
        self.state(lambda state: state["connected"])
        return self

    def uri(self, name: str) -> str:
        return (self.sprocs / name).as_uri()

    def open(self, name: str, text: str | None = None) -> None:
        text = (self.sprocs / name).read_bytes().decode("utf-8", "replace") if text is None else text
        document = {"uri": self.uri(name), "languageId": "lua", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, name: str, text: str, version: int = 2) -> None:
        document = {"uri": self.uri(name), "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def close(self, name: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": self.uri(name)}})

    def hints(self, name: str) -> list[dict[str, Any]]:
        whole = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
        asked = {"textDocument": {"uri": self.uri(name)}, "range": whole}
        found: list[dict[str, Any]] = self.request("textDocument/inlayHint", asked)
        return found

    def lenses(self, name: str) -> list[str]:
        found = self.request("textDocument/codeLens", {"textDocument": {"uri": self.uri(name)}})
        return [one["command"]["title"] for one in found]

    def end(self) -> int:
        """As an editor ends it. The exit code."""
        if self.process.poll() is None:
            self.request("shutdown", None)
            self.notify("exit", None)
        try:
            return self.process.wait(10)
        finally:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
