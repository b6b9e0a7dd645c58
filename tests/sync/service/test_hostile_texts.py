"""Texts that others wrote, in all that a daemon says: its log, its HTTP answers, the commits that it makes."""

from __future__ import annotations

import ast
import contextvars
import json
import logging
import re
import urllib.request
from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.terminal import is_hostile
from luasprocs.registry.live import read_sprocs
from luasprocs.runtime.log import SHARD
from luasprocs.server.registry import Registry
from sync.service.logs import FORMATS, log_to_stderr
from tests.gitrepo import GitRepo
from tests.paths import ROOT
from tests.sync.service.service import KEYS, Service, commit_of, live
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

pytestmark = pytest.mark.timeout(120)
NAME = "zero\u200bwidth\u202egnp.lua"
HAND = "by\x1b[2Jhand\u200b.lua"
BY = "An\u202en\x1b[31m\u3164 <ann@example.com>"


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write(f"sprocs/{NAME}", "-- event=set\n-- key=x\nreturn 1\n")
    found.write("sprocs/a.lua", "return 1\n")
    found.commit("first \u200b subject")
    return found


def hostile(text: str) -> set[str]:
    return {character for character in text if is_hostile(character) and character != "\n"}


def test_neither_log_nor_http_nor_commits_pass_them_on(server: Server, repo: GitRepo) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    with Service(server.url, repo.path, environ={"LUASPROCS_HTTP": "127.0.0.1:0"}) as service:
        first = repo.git("rev-parse", "HEAD")
        live(client, first)
        client.hset(KEYS.name(NAME), "x_\x1b", "\u200b")
        client.rpush(KEYS.list, HAND)
        service.until("repaired")
        client.hset(KEYS.stats(NAME), mapping={"runs": 1, "errors": 1, "last_status": "error", "failed_in_a_row": 1})
        (sproc,) = read_sprocs(registry, [NAME])
        edit_metadata(registry, NAME, {"description": "a\u200bb\u202ec\u3164d"}, base=sproc.blob, by=BY)
        until(lambda: commit_of(client) != first)
        port = re.findall(r"http at 127\.0\.0\.1:(\d+)", service.output)[0]
        said = {}
        for path in ("/healthz", "/metrics"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                said[path] = answer.read().decode()
        assert service.stop() == 0
        said["log"] = service.output
    said["commit"] = repo.git("log", "-1", "--format=%B%an%ae%cn")
    assert "zero\\\\u200bwidth" in said["/metrics"]
    assert "zero\\u200bwidth" in said["log"]
    assert "a\\u200bb\\u202ec\\u3164d" in said["commit"]
    assert "Edited-live-by: Ann[31m <ann@example.com>" in said["commit"]
    assert {what: found for what, text in said.items() if (found := hostile(text))} == {}


@pytest.mark.parametrize("form", FORMATS)
def test_a_record_is_one_line_or_its_others_are_told_apart(
    form: str, capsys: pytest.CaptureFixture[str], restored: logging.Logger
) -> None:
    log_to_stderr(form)
    error = ValueError("\x1b]0;owned\x07 \u200b\n2026-11-25T09:00:00.123456Z INFO all is well")
    restored.error("%s\n2026-11-25T09:00:00.123456Z INFO synced", "\u202e\x9b31m", exc_info=error)
    said = capsys.readouterr().err
    assert hostile(said) == set()
    first, *others = said.splitlines()
    assert "\\u202e" in first
    assert all(line.startswith("  ") for line in others)
    assert bool(others) == (form == "human")


@pytest.mark.parametrize("form", FORMATS)
def test_a_record_of_a_shard_names_it(form: str, capsys: pytest.CaptureFixture[str], restored: logging.Logger) -> None:
    log_to_stderr(form)

    def of_shard() -> None:
        SHARD.set("luasprocs-7")
        restored.error("x")

    contextvars.copy_context().run(of_shard)
    restored.error("x")
    first, second = capsys.readouterr().err.splitlines()
    assert "luasprocs-7" in first
    assert "shard" not in second
    if form == "json":
        assert json.loads(first)["shard"] == "luasprocs-7"
        assert json.loads(first)["event"] == "x"


@pytest.fixture
def restored() -> Iterator[logging.Logger]:
    """The daemon's logger, as it was at the end."""
    logger = logging.getLogger("luasprocs.daemon")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield logger
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


ELSEWHERE = {
    "sync/console.py": 1,  # Console.print, which takes nothing but a Printable
    "sync/commands/completion_.py": 1,  # click's own script
    "sync/commands/show_.py": 1,  # a source, byte for byte, in a pipe
    "sync/commands/sync_.py": 2,  # a bar
    "sync/commands/execute_.py": 1,  # a reply, byte for byte, in a pipe
    "luasprocs_tui/cli.py": 2,
    "luasprocs_tui/serve.py": 2,  # escaped
    "luasprocs/worker/__main__.py": 1,  # a sentence
}
"""Where something is written to the terminal without `Console`, and how often."""


def test_all_that_is_printed_goes_by_the_console() -> None:
    found: dict[str, int] = {}
    for path in (one for folder in ("luasprocs", "sync", "luasprocs_tui") for one in (ROOT / folder).rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
        count = sum(is_print(ast.unparse(call.func)) for call in calls)
        if count:
            found[path.relative_to(ROOT).as_posix()] = count
    assert found == ELSEWHERE


def is_print(called: str) -> bool:
    return called in {"print", "click.echo", "click.secho", "traceback.print_exception", "traceback.print_exc"} or (
        called.startswith(("sys.stdout", "sys.stderr")) and called.endswith(("write", "writelines"))
    )
