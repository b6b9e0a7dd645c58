"""`luasprocs init`: a luasprocs.toml and a first sproc."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import click

from luasprocs.errors import LuasprocsError, SettingsError
from luasprocs.language.editor.command_docs import KEPT_OF, kept
from luasprocs.language.editor.meta_library import meta_library
from sync.console import Console
from sync.git.checkout import settings_of
from sync.session import Session

_SETTINGS = """\
# What a git writer decides. Everything else is the host's: see luasprocs --help.
folder = "sprocs"
# Who owns the registry in Redis: another repository's sync is refused.
owner = "{owner}"
"""
_SPROC = """\
-- Says hello, and counts how often.
-- description=a first sproc
local count = redis.call('INCR', KEYS[1] or '{hello.lua}:count')
return 'hello ' .. (ARGV[1] or 'world') .. ', number ' .. count
"""
_LIBRARY = ".luals/sprocs.lua"
_ANSWER_S = 1.0
_EXTENSIONS = """\
{
  "recommendations": ["luasprocs.luasprocs"]
}
"""
_LUARC = """\
{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "Lua 5.1",
  "workspace.library": [".luals"],
  "workspace.checkThirdParty": false
}
"""


@click.command("init")
@click.pass_obj
def command(flags: dict[str, str]) -> None:
    """Create luasprocs.toml and sprocs/hello.lua here, unless they exist; and what editors read."""
    console = Console.of_process()
    folder = Path(flags.get("repo", "."))
    if not folder.is_dir():
        raise SettingsError(f"{folder} is not a folder: make it, or name another by --repo")
    # Whatever the folder is called, TOML and the owner's limit of length must take it.
    place = re.sub(r"[^\w.-]+", "-", folder.resolve().name, flags=re.ASCII)[:60].strip("-")
    owner = f"{place or 'sprocs'}-{secrets.token_hex(4)}"
    wanted = {"luasprocs.toml": _SETTINGS.format(owner=owner)}
    if not (folder / "sprocs").exists():
        wanted["sprocs/hello.lua"] = _SPROC
    if settings_of(folder).folder:  # where sprocs stand at the top, each .lua file is one
        wanted |= {".luarc.json": _LUARC, _LIBRARY: _declarations(flags, console)}
    wanted[".vscode/extensions.json"] = _EXTENSIONS
    for name, content in wanted.items():
        path = folder / name
        if name == _LIBRARY and path.is_file() and path.read_text(encoding="utf-8") != content:
            _write(path, content)
            console.line(f"wrote {name} anew")
        elif path.exists():
            console.line(f"{name} exists, not changed")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
            console.line(f"wrote {name}")
    console.line("next: git add, git commit, luasprocs sync; then luasprocs execute hello.lua")


def _declarations(flags: dict[str, str], console: Console) -> str:
    """With the commands of the server that other commands would use, if it answers soon; else with those of the package."""
    from luasprocs.operations.server_commands import read_commands  # noqa: PLC0415  # redis: 160 ms

    session = Session(flags, within_s=_ANSWER_S)
    try:
        with session.named_errors():
            found = read_commands(session.registry.home.client)
    except LuasprocsError as error:
        console.line(f"commands declared: those of {KEPT_OF} ({error})")
        return meta_library(kept(), KEPT_OF)
    console.line(f"commands declared: those of {session.settings.redis_shown}, {found.server}")
    return meta_library(found.docs, found.server)


def _write(path: Path, content: str) -> None:
    """The whole file or none: half of one would be left as it is by the next try."""
    aside = path.with_name(f"{path.name}.new")
    try:
        aside.write_text(content, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise SettingsError(f"{path} can't be written: {error.strerror}") from error
