"""A webhook that says "look": whose it is, by GitHub's, GitLab's and Gitea's headers. Pure but for the clock it is given.

The body is never parsed: a valid one says that something was pushed, and the daemon looks for itself.
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
"""A signature that was seen within so long is a replay, whatever else the request says: it changes nothing."""
SEEN_LIMIT = 10_000
BURST = 10
PER_SECOND = 1.0
"""So many requests at once, and so many a second on average, make the daemon look; others are told to come later."""
_PROOFS = ("x-hub-signature-256", "x-gitea-signature", "x-gitlab-token")


@dataclass(frozen=True, slots=True)
class Verdict:
    """An HTTP status and a sentence; `look`: the daemon is to look; `later`: in a second, since it looked just now."""

    status: int
    text: str
    look: bool = False
    later: bool = False


UNPROVEN = Verdict(403, "no valid signature: X-Hub-Signature-256, X-Gitea-Signature or X-Gitlab-Token")


def claims(headers: Mapping[str, str]) -> bool:
    """Whether there is anything to judge. Of others the body need not be read."""
    return any(name.lower() in _PROOFS for name in headers)


@dataclass(slots=True)
class Webhook:
    """Judges requests. `secret`: shared with the forge; times are monotonic seconds."""

    secret: bytes
    _seen: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    _tokens: float = BURST
    _filled: float = 0.0

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """What to answer. `headers` by their names, whatever the case of these."""
        if len(body) > BODY_LIMIT_BYTES:
            return Verdict(413, f"the body has more than {BODY_LIMIT_BYTES} bytes")
        proof = self._proof(headers, body)
        if not proof:
            return UNPROVEN
        if self._replayed(proof, now):
            return Verdict(200, "seen before")
        if not self._within_rate(now):
            return Verdict(429, "too many requests: one look for all of them in a second", later=True)
        self._seen[proof] = now
        return Verdict(202, "looking", look=True)

    def _proof(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """What proves the sender, the same for a request that is sent again; empty where nothing does.

        Only what is signed counts: who caught a request could give it another delivery's id.
        """
        given = {name.lower(): value.strip().encode("utf-8", "surrogatepass") for name, value in headers.items()}
        hub, gitea, gitlab = (given.get(name, b"") for name in _PROOFS)
        if hub or gitea:
            wanted = hmac.new(self.secret, body, hashlib.sha256).hexdigest().encode()
            if any(hmac.compare_digest(one, wanted) for one in (hub.removeprefix(b"sha256="), gitea)):
                return wanted
        if gitlab and hmac.compare_digest(gitlab, self.secret):  # who knows the token needs no replay
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
