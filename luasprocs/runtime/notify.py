"""Notifies the service manager as sd_notify(3) does, by datagrams to NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket


def notify(*states: str) -> None:
    """Sends states (`READY=1`, `STATUS=…`, `WATCHDOG=1`, `STOPPING=1`); does nothing without NOTIFY_SOCKET."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address)
            channel.send("\n".join(states).encode())
    except OSError:
        return  # whoever asked is gone


def watchdog_s() -> float:
    """Seconds between two WATCHDOG=1, half of the service manager's timeout; 0 if it has none."""
    asked = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(asked) / 2_000_000 if asked.isdecimal() and meant else 0.0
