"""Authenticates webhooks by the headers of GitHub, GitLab and Gitea. Pure; the caller passes the time.

The body is never parsed: a valid request means that something was pushed, and the daemon fetches.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_LIMIT_BYTES = 1024 * 1024
REPLAY_WINDOW_S = 600.0
"""A signature that was seen within this time is a replay, which changes nothing."""
SEEN_LIMIT = 10_000
BURST = 10
PER_SECOND = 1.0
"""So many requests at once, and so many per second on average, make the daemon fetch; others get status 429."""
_PROOFS = ("x-hub-signature-256", "x-gitea-signature", "x-gitlab-token")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An HTTP status and a sentence; `look`: fetch now; `later`: fetch in a second, as there were too many requests."""

    status: int
    text: str
    look: bool = False
    later: bool = False


UNPROVEN = Verdict(403, "no valid signature: X-Hub-Signature-256, X-Gitea-Signature or X-Gitlab-Token")


def claims(headers: Mapping[str, str]) -> bool:
    """Whether the request carries a signature or token; if not, its body need not be read."""
    return any(name.lower() in _PROOFS for name in headers)


@dataclass(slots=True)
class Webhook:
    """Checks requests. `secret`: shared with the forge; times are monotonic seconds."""

    secret: bytes
    _seen: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    _tokens: float = BURST
    _filled: float = 0.0

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """The answer to a request. Names of headers may have any case."""
        if len(body) > BODY_LIMIT_BYTES:
            return Verdict(413, f"the body has more than {BODY_LIMIT_BYTES} bytes")
        proof = self._proof(headers, body)
        if not proof:
            return UNPROVEN
        if self._replayed(proof, now):
            return Verdict(200, "seen before")
        if not self._within_rate(now):
            return Verdict(429, "too many requests: one fetch within a second serves them all", later=True)
        self._seen[proof] = now
        return Verdict(202, "looking", look=True)

    def _proof(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """The proof of the sender, the same if the request is sent again; empty if there is none.

        Only signed content counts: an attacker could replay a request under another delivery id.
        """
        given = {name.lower(): value.strip().encode("utf-8", "surrogatepass") for name, value in headers.items()}
        hub, gitea, gitlab = (given.get(name, b"") for name in _PROOFS)
        if hub or gitea:
            wanted = hmac.new(self.secret, body, hashlib.sha256).hexdigest().encode()
            if any(hmac.compare_digest(one, wanted) for one in (hub.removeprefix(b"sha256="), gitea)):
                return wanted
        if gitlab and hmac.compare_digest(gitlab, self.secret):  # whoever knows the token needs no replay
            event = given.get("x-gitlab-event-uuid") or given.get("idempotency-key") or body
            return b"gitlab" + hashlib.sha256(event).digest()
        return b""

    def _replayed(self, proof: bytes, now: float) -> bool:
        while self._seen and (len(self._seen) > SEEN_LIMIT or now - next(iter(self._seen.values())) > REPLAY_WINDOW_S):
            self._seen.popitem(last=False)
        return proof in self._seen

    def _within_rate(self, now: float) -> bool:
        self._tokens = min(BURST, self._tokens + (now - self._filled) * PER_SECOND)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
