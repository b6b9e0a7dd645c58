"""Who is at work, for records, history and commits."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def user_at_host() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in an emptied environment or a bare container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def author(configured: Callable[[str], str] = lambda what: "") -> str:
    """`Name <mail>` as git would name who commits, else `user@host`.

    Each is GIT_AUTHOR_NAME or GIT_AUTHOR_EMAIL, else `configured("name")` or `configured("email")`, "" for none.
    """
    name = os.environ.get("GIT_AUTHOR_NAME") or configured("name")
    mail = os.environ.get("GIT_AUTHOR_EMAIL") or configured("email")
    return f"{name} <{mail}>" if name and mail else user_at_host()
