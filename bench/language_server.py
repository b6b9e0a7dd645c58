"""The language server as an editor meets it: from a key press to its problems, and a workspace of 10,000 sprocs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.pairs import Result
from sync.lsp.service import DEBOUNCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = 2000
KEYS = 200
SPROCS = 10_000
_FUNCTION = """local function take{0}(key, amount)
  local held = redis.call('HGET', key, 'amount')
  if not held then
    return redis.error_reply('ERR there is no account ' .. key)
  end
  local left = tonumber(held) - amount
  -- Never below zero.
  if left < 0 then
    return {{ err = 'ERR not enough' }}
  end
  redis.call('HSET', key, 'amount', left)
  for place = 1, 3 do
    local name = string.format('%s:%d', key, place)
    redis.call('EXPIRE', name, 60)
  end
  return left
end
"""
_BODY = "local lib = require('lib.lua')\nreturn redis.call('INCRBY', KEYS[1], lib.one)\n"


def _at_most(name: str, value: float, limit: float) -> Result:
    return Result(name, ((value, limit),), value, limit, at_least=False)


class Client:
    """Talks the protocol to a server of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "sync.cli", "lsp"]
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        root = folder.as_uri()
        self.send("initialize", {"processId": None, "rootUri": root, "capabilities": {}}, 1)
        self.read()
        self.send("initialized", {})

    def send(self, method: str, params: dict[str, Any], number: int | None = None) -> None:
        told = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
        body = json.dumps(told).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        size = 0
        while line := self.process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        answer: dict[str, Any] = json.loads(self.process.stdout.read(size))
        return answer

    def problems(self, uri: str, version: int | None = None) -> list[Any]:
        """The next ones of a file: of that version."""
        while True:
            told = self.read()
            params = told.get("params", {})
            ours = told.get("method") == "textDocument/publishDiagnostics" and params["uri"] == uri
            if ours and version in {None, params.get("version")}:
                found: list[Any] = params["diagnostics"]
                return found

    def open(self, uri: str, text: str) -> None:
        document = {"uri": uri, "languageId": "lua", "version": 1, "text": text}
        self.send("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, version: int, text: str) -> None:
        document = {"uri": uri, "version": version}
        self.send("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def _typing(client: Client, folder: Path, text: str) -> list[float]:
    """Milliseconds of each key, without the wait before the server looks."""
    uri = (folder / "sprocs" / "typed.lua").as_uri()
    client.open(uri, text)
    client.problems(uri, 1)
    took = []
    for number in range(2, KEYS + 2):
        changed = f"{text}local last = {number}\nreturn lst\n"
        started = time.perf_counter()
        client.change(uri, number, changed)
        assert client.problems(uri, number)
        took.append((time.perf_counter() - started - DEBOUNCE_S) * 1000)
    return sorted(took)


def results() -> Iterator[Result]:
    """Keys in a long file, then a large workspace."""
    text = "".join(_FUNCTION.format(number) for number in range(LINES // _FUNCTION.count("\n")))
    with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as name:
        folder = Path(name)
        (folder / "sprocs").mkdir()
        (folder / "luasprocs.toml").touch()
        client = Client(folder)
        took = _typing(client, folder, text)
        client.end()
        yield _at_most(f"problems of {LINES:,} lines after a key, p50 (ms)", statistics.median(took), 30)
        yield _at_most(f"problems of {LINES:,} lines after a key, p99 (ms)", took[int(len(took) * 0.99)], 120)
    with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as name:
        folder = Path(name)
        for number in range(SPROCS):
            path = folder / "sprocs" / f"{number % 100}" / f"s{number}.lua"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"-- description=sproc {number}\n{_BODY}", encoding="utf-8")
        (folder / "sprocs" / "lib.lua").write_text("-- library=yes\nreturn { one = 1 }\n", encoding="utf-8")
        last = folder / "sprocs" / "99" / "s9999.lua"
        last.write_text("return prnt(1)\n", encoding="utf-8")
        (folder / "luasprocs.toml").touch()
        started = time.perf_counter()
        client = Client(folder)
        assert client.problems(last.as_uri())
        yield _at_most(f"{SPROCS:,} sprocs open (s)", time.perf_counter() - started, 5)
        took = _typing(client, folder, "-- description=one\nlocal lib = require('lib.lua')\n")
        yield _at_most(f"a change among {SPROCS:,} sprocs, p50 (ms)", statistics.median(took), 50)
        yield _at_most(f"memory with {SPROCS:,} sprocs (MB)", client.memory_mb(), 300)
        client.end()
