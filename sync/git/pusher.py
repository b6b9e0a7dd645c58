"""Who pushes, as far as git and its host tell a hook. It is remembered in the repository, for whoever makes the push live.

A signed push (`git push --signed`) proves it; what the environment says is as good as the host that has set it.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "luasprocs-pushes"
"""In git's folder: a line for each push, of the commit and who pushed it."""
_KEPT_BYTES = 1 << 16
_CHARS = 100
_HOSTS = (
    "GL_USERNAME",  # GitLab
    "GL_USER",  # gitolite
    "GITEA_PUSHER_NAME",  # Gitea, Forgejo
    "GOGS_AUTH_USER_NAME",  # Gogs
    "GITHUB_USER_LOGIN",  # GitHub Enterprise Server
    "BB_USER_NAME",  # Bitbucket Data Center
    "STASH_USER_NAME",
    "REMOTE_USER",  # git http-backend, and what authorized_keys sets by environment=
    "SSH_USER",
)


def pusher(environ: Mapping[str, str]) -> str:
    """Who pushes: the signer of the push, the account at the host, the ssh key, else the Unix user."""
    if environ.get("GIT_PUSH_CERT_STATUS") in {"G", "U"} and (
        signer := _plain(environ.get("GIT_PUSH_CERT_SIGNER", ""))
    ):
        return signer
    named = next((who for name in _HOSTS if (who := _plain(environ.get(name, "")))), "")
    return named or _ssh_key(environ.get("SSH_USER_AUTH", "")) or _plain(_user())


def note_push(git_folder: Path, sha: str, who: str) -> None:
    """Remembers who pushed a commit. What can't be written is not remembered: no push fails for that."""
    path = git_folder / FILE
    try:
        if path.exists() and path.stat().st_size > _KEPT_BYTES:
            kept = path.read_bytes()[-_KEPT_BYTES // 2 :].partition(b"\n")[2]
            shorter = path.with_name(f"{FILE}.new")
            shorter.write_bytes(kept)
            shorter.replace(path)
        with path.open("ab") as file:
            file.write(f"{sha} {who}\n".encode())
    except OSError:
        return


def who_pushed(git_folder: Path, sha: str) -> str:
    """Who pushed a commit last, or ""."""
    try:
        lines = (git_folder / FILE).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((_plain(line[len(sha) + 1 :]) for line in reversed(lines) if line.startswith(f"{sha} ")), "")


def _plain(who: str) -> str:
    """A name as it can stand in a record; "" for what is none."""
    return who.strip() if len(who) <= _CHARS and who.strip() and who.isprintable() else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _ssh_key(file: str) -> str:
    """The fingerprint of the key that sshd has accepted (its option ExposeAuthInfo), as ssh-keygen -l prints it."""
    try:
        words = Path(file).read_text("ascii").split() if file else []
        blob = base64.b64decode(words[2], validate=True) if words[:1] == ["publickey"] and len(words) > 2 else b""
    except (OSError, ValueError, binascii.Error):
        return ""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}" if blob else ""
