"""What a worker process may touch: folders, the server's TCP port, memory, files, processes."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lupa import lua51

from luasprocs.contract.codes import Allow
from luasprocs.worker import landlock
from luasprocs.worker.landlock import READ, RUN, WRITE, Access

if TYPE_CHECKING:
    from collections.abc import Iterable

FILES_OPEN = 256
FILE_BYTES = 512 << 20
PROCESSES_OF_USER = 512
"""Where programs may be started; else none."""
SPARE_BYTES = 96 << 20
"""For Python and what it copies, beside the memory of a job."""
COPIES = 3
"""A large reply stands in Python's memory and in Lua's, and a growing string once more."""

LUA_FOLDERS = (Path("/usr/local/share/lua/5.1"), Path("/usr/share/lua/5.1"))
C_FOLDERS = (
    *(Path("/usr/local/lib/lua/5.1"), Path("/usr/lib/lua/5.1")),
    *(Path("/usr/lib") / f"{machine}-linux-gnu/lua/5.1" for machine in (os.uname().machine,)),
)
_LIBRARIES = tuple(Path(name) for name in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"))
_PROGRAMS = tuple(Path(name) for name in ("/usr", "/bin", "/sbin", "/etc/alternatives", "/etc/localtime"))
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


class ConfinementError(Exception):
    """Jobs can't be run here as the host's settings want it; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the host's settings say. `folder`: the working folder; `writable`: folders beside it; `allow`: the words above."""

    folder: Path
    writable: tuple[Path, ...]
    lua_path: str
    allow: frozenset[str]


def lua_paths(rules: Rules) -> tuple[str, str]:
    """`package.path` and `package.cpath`: the host's own, a LuaRocks tree of the user, the machine's.

    Of the host's own those that end in `.so` are for C libraries; a folder is for both.
    """
    parts = [part for part in rules.lua_path.split(";") if part]
    own = [template for part in parts if not part.endswith(".so") for template in _templates(part)]
    own_c = [
        os.path.abspath(part if "?" in part else f"{part}/?.so")  # noqa: PTH100  # a template is no path
        for part in parts
        if part.endswith(".so") or "?" not in part
    ]
    rocks = _home() / ".luarocks"
    lua = [template for folder in (rocks / "share/lua/5.1", *LUA_FOLDERS) for template in _templates(str(folder))]
    c = [f"{folder}/?.so" for folder in (rocks / "lib/lua/5.1", *C_FOLDERS)]
    return ";".join(own + lua), ";".join(own_c + c if Allow.CLIBS in rules.allow else [])


def _templates(part: str) -> list[str]:
    """One place of a Lua path: as it is, or of a folder what Lua looks for in it."""
    whole = os.path.abspath(part)  # noqa: PTH100  # a template is no path
    return [whole] if "?" in part else [f"{whole}/?.lua", f"{whole}/?/init.lua"]


def _home() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/nonexistent")


def offer_lua_to_c_libraries() -> None:
    """A C library finds Lua's functions in the process, where lupa keeps them to itself."""
    ctypes.CDLL(lua51.__file__, mode=ctypes.RTLD_GLOBAL)


def confine(rules: Rules, ports: Iterable[int]) -> int:
    """Shuts this process in, for ever. `ports`: Redis' own where it is TCP. Returns Landlock's version; 0: files aren't confined.

    Raises:
        ConfinementError: there is no Landlock and the settings don't allow to go without, or a folder is missing.
    """
    for folder in (rules.folder, *rules.writable):
        if not folder.is_dir():
            raise ConfinementError(f"there is no folder {folder}: make it, or change the setting that names it")
    if not landlock.abi() and Allow.UNCONFINED not in rules.allow:
        raise ConfinementError(
            "this kernel has no Landlock (Linux 5.13 has it), so files can't be confined: "
            "`unconfined` in the host's setting `allow` runs async sprocs all the same"
        )
    if Allow.CLIBS in rules.allow:
        offer_lua_to_c_libraries()
    time.tzset()  # reads /etc/localtime, which is out of reach later
    os.chdir(rules.folder)
    _limit(rules)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # other processes of the user can't read its memory, which holds the URL
    try:
        version = landlock.restrict(_paths(rules), ports)
    except OSError as error:
        if Allow.UNCONFINED not in rules.allow:
            raise ConfinementError(f"Landlock refused to confine the worker: {error.strerror}") from error
        version = 0
    if not version:
        landlock.forgo_privileges()
    return version


def _paths(rules: Rules) -> list[tuple[Path, Access]]:
    path, cpath = lua_paths(rules)
    found = [(folder, WRITE) for folder in (rules.folder, *rules.writable)]
    found += [(_fixed_part(template), READ) for template in path.split(";")]
    if Allow.CLIBS in rules.allow:
        found += [(_fixed_part(template), READ) for template in cpath.split(";")]
        found += [(place, READ) for place in _LIBRARIES]
    if Allow.EXEC in rules.allow:
        found += [(place, RUN) for place in (*_PROGRAMS, *_LIBRARIES)]
        found += [(Path("/dev/null"), READ | Access.WRITE_FILE), (Path("/dev/urandom"), READ)]
    return found


def _fixed_part(template: str) -> Path:
    """The folder of a Lua path's template that its names are put below."""
    before, mark, _ = template.partition("?")
    return Path(before.rpartition("/")[0] or "/nonexistent") if mark else Path(template)


def _limit(rules: Rules) -> None:
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, FILES_OPEN),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NPROC, PROCESSES_OF_USER if Allow.EXEC in rules.allow else 0),
    ):
        hard = resource.getrlimit(what)[1]
        most_here = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most_here, most_here))


def data_bytes() -> int:
    """Memory that this process may write to, as the kernel counts it for RLIMIT_DATA; asked before /proc is out of reach."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    return pages * resource.getpagesize()


def limit_memory(base_bytes: int, job_bytes: int) -> None:
    """A job's bound, by the kernel. `base_bytes`: what the process had before its first job."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = base_bytes + COPIES * job_bytes + SPARE_BYTES
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
