"""What the values of settings may be: each function takes a text, or says by ValueError what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import Allow
from luasprocs.contract.keys import Keys
from luasprocs.language.spelling import nearest
from luasprocs.language.values import duration_ms, shown
from luasprocs.server.urls import checked
from sync.toml import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECRET_CHARS = 16


def url(value: str) -> str:
    checked(value)
    return value


def name(value: str) -> str:
    if not value or value.startswith("-") or CONTROL.search(value):
        raise ValueError(f"{shown(value)} can't be a branch")
    return value.removeprefix("refs/heads/")


def remote(value: str) -> str:
    if value.startswith("-") or CONTROL.search(value):
        raise ValueError("the remote can't be used: take a URL (https, ssh, file) or user@host:path")
    return value


def address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"{shown(value)} is not an address: use host:port, like 127.0.0.1:9700")
    return f"{host or '0.0.0.0'}:{port}"  # noqa: S104  # as who leaves out the host means


def secret(value: str) -> str:
    if len(value) < _SECRET_CHARS:
        raise ValueError(f"the secret is shorter than {_SECRET_CHARS} characters")
    return value


def namespace(value: str) -> str:
    return Keys(value).namespace


def yes(value: str) -> bool:
    if value.lower() not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError(f"{shown(value)} is neither yes nor no")
    return value.lower() in {"1", "true", "yes", "on"}


def one_of(*words: str) -> Callable[[str], str]:
    def choose(value: str) -> str:
        if value not in words:
            raise ValueError(f"{shown(value)} is not one of {', '.join(words)}{nearest(value, words)}")
        return value

    return choose


def interval(value: str) -> int:
    try:
        return duration_ms(value)
    except ValueError:
        raise ValueError(f"{shown(value)} is not a duration, like 30s or 5m") from None


def up_to(limit: int) -> Callable[[str], int]:
    def count(value: str) -> int:
        if not (value.isdecimal() and value.isascii() and 0 < int(value) <= limit):
            raise ValueError(f"{shown(value)} is not a whole number from 1 to {limit}")
        return int(value)

    return count


def path(value: str) -> Path:
    if not value or "\0" in value:
        raise ValueError("the path is empty or holds a NUL")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{shown(value)} names a user who has no home folder here") from None


def paths(value: str) -> tuple[Path, ...]:
    return tuple(path(part) for part in value.split(os.pathsep))


def allowed(value: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in value.split(",") if word.strip())
    for word in words:
        one_of(*Allow)(word)
    return words


HOST: Mapping[str, Callable[[str], Any]] = {
    "redis": url,
    "namespace": namespace,
    "repo": path,
    "config": path,
    "debug": yes,
    "branch": name,
    "remote": remote,
    "mirror": path,
    "log_format": one_of("human", "json"),
    "http": address,
    "webhook_secret": secret,
    "heal": one_of("auto", "warn"),
    "live_edits": one_of("commit", "keep", "revert"),
    "interval": interval,
    "require_signed": yes,
    "require_fast_forward": yes,
    "executions_limit": up_to(100_000_000),
    "executions_age": interval,
    "workers": up_to(1000),
    "listeners": up_to(1000),
    "files": path,
    "writable": paths,
    "lua_path": str,
    "allow": allowed,
}
"""How each of the host's settings is read."""
