"""The lines of docs/editors.md in real Neovims: what a user sees."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lsp.conftest import BUY, MONEY
from tests.paths import ROOT

BIN = Path(sys.executable).parent
DOCS = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")
NEW, OLD = re.findall(r"^```lua\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
LOOK = """
vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end, 10)
for _, one in ipairs(vim.diagnostic.get(0)) do
  print(('%d:%d-%d %s %s'):format(one.lnum + 1, one.col + 1, one.end_col + 1, one.source, one.code or one.user_data.lsp.code))
end
vim.api.nvim_buf_set_lines(0, 0, 1, false, { '-- event=set' })
vim.wait(20000, function() return #vim.diagnostic.get(0) == 0 end, 10)
print('after an edit ' .. #vim.diagnostic.get(0))
vim.fn.cursor(3, 15)
local place = vim.lsp.util.make_position_params(0, 'utf-16')
for _, answer in pairs(vim.lsp.buf_request_sync(0, 'textDocument/definition', place, 10000)) do
  local found = answer.result
  print('definition ' .. vim.fn.fnamemodify(vim.uri_to_fname(found.uri), ':t') .. ':' .. found.range.start.line + 1)
end
vim.cmd('qall!')
"""


def neovims() -> dict[str, tuple[str, str]]:
    """Debian's, and the dev dependency: each with the lines for it."""
    return {"0.7": (shutil.which("nvim", path="/usr/bin") or "", OLD), "0.11": (str(BIN / "nvim"), NEW)}


@pytest.mark.parametrize("version", ["0.7", "0.11"])
def test_neovim_shows_problems_and_finds_definitions(version, tmp_path):
    binary, lines = neovims()[version]
    if not os.access(binary, os.X_OK):
        assert not os.environ.get("CI"), f"Neovim {version} is missing"
        pytest.skip(f"there is no Neovim {version}")
    for name, text in {"lib/money.lua": MONEY, "buy.lua": BUY.replace("description=", "descripton=")}.items():
        path = tmp_path / "sprocs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "luasprocs.toml").write_text("")
    (tmp_path / "init.lua").write_text(lines)
    (tmp_path / "look.lua").write_text(LOOK)
    environ = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
    }
    command = [binary, "--headless", "-u", "init.lua", "-i", "NONE", "sprocs/buy.lua", "-c", "luafile look.lua"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.replace("\r\n", "\n").strip().splitlines() == [
        "1:4-14 luasprocs header.unknown-key",
        "after an edit 0",
        "definition money.lua:4",
    ]
