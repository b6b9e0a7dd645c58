"""What `git verify-commit` says about a commit, read from its words. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_SIGNER = re.compile(r'Good signature from "(?P<gpg>.+)"|Good "git" signature for (?P<ssh>.+) with \S+ key \S+')
# What gpg and ssh-keygen say beside the reason.
_CHATTER = re.compile(
    r"gpg: (Signature made|\s+(using|issuer)|Good signature|WARNING|\s+There is no|\s+aka )"
    r'|Primary key fingerprint|\s*Subkey fingerprint|Good "git" signature'
)


class Signature(NamedTuple):
    """`good`: a known signer's, and valid; `who`: the signer, as the keyring or the allowed signers name him or her.

    `why`: what is wrong where it isn't good.
    """

    good: bool
    who: str = ""
    why: str = ""


def read_signature(status: int, said: str) -> Signature:
    """From the exit code and the complaints of `git verify-commit`, in English."""
    signer = _SIGNER.search(said)
    who = (signer["gpg"] or signer["ssh"]) if signer else ""
    if status == 0:
        return Signature(True, who)
    lines = [line for line in said.splitlines() if line.strip() and not _CHATTER.match(line)]
    reasons = (re.sub(r"^(gpg|error|fatal): ", "", line).strip() for line in lines)
    return Signature(False, who, "; ".join(reasons) or ("it can't be trusted" if said.strip() else "it is not signed"))
