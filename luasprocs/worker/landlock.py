"""Landlock: the kernel refuses this process, and all that it starts, the files and ports that no rule names.

By raw system calls, as no library of this project has them. https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
from enum import IntFlag
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture but alpha
_VERSION_FLAG = 1
_RULE_PATH, _RULE_PORT = 1, 2
_PR_SET_NO_NEW_PRIVS = 38


class Access(IntFlag):
    """What may be done with a file or below a folder: the kernel's own bits."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.READ_FILE | Access.READ_DIR
RUN = READ | Access.EXECUTE
WRITE = (
    READ
    | Access.WRITE_FILE
    | Access.TRUNCATE
    | Access.MAKE_REG
    | Access.MAKE_DIR
    | Access.MAKE_FIFO
    | Access.MAKE_SYM
    | Access.REMOVE_FILE
    | Access.REMOVE_DIR
    | Access.REFER
)
_OF_FILES = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
_BITS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
_BITS = 16  # from ABI 5 on
_PORTS = 0b11  # bind and connect, from ABI 4 on
_SCOPES = 0b11  # abstract sockets and signals of other processes, from ABI 6 on


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    _fields_ = (("access", ctypes.c_uint64), ("port", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The version of Landlock that this kernel has; 0 where it has none, or it is off."""
    found: int = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(found, 0)


def restrict(paths: Iterable[tuple[Path, Access]], ports: Iterable[int]) -> int:
    """Confines this process for ever to these paths, and TCP to connecting to these ports.

    A path that isn't there is left out. Returns the version of Landlock that did it, 0 where there is none.

    Raises:
        OSError: the kernel refused.
    """
    version = abi()
    if not version:
        return 0
    bits = _BITS_BY_ABI.get(version, _BITS)
    handled = Access((1 << bits) - 1)
    ruleset = _Ruleset(handled, _PORTS if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    fd = _called(_libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0))
    try:
        for path, access in paths:
            _add_path(fd, path, access & handled)
        for port in ports if version >= 4 else ():
            rule = _PortRule(0b10, port)
            _called(_libc.syscall(ADD_RULE, fd, _RULE_PORT, ctypes.byref(rule), 0))
        forgo_privileges()
        _called(_libc.syscall(RESTRICT_SELF, fd, 0))
    finally:
        os.close(fd)
    return version


def forgo_privileges() -> None:
    """No program that this process starts gets more rights than it has (setuid)."""
    _called(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _add_path(ruleset_fd: int, path: Path, access: Access) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = access if path.is_dir() else access & _OF_FILES
        rule = _PathRule(allowed, fd)
        _called(_libc.syscall(ADD_RULE, ruleset_fd, _RULE_PATH, ctypes.byref(rule), 0))
    finally:
        os.close(fd)


def _called(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
