"""Who is at work, for records and history."""

from __future__ import annotations

import getpass
import os
import socket


def applied_by() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in an emptied environment or a bare container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
