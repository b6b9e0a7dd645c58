"""Authenticates webhooks by the headers of git's hosts and of Standard Webhooks. Pure; the caller passes the time.

The body is never parsed: a valid request means that something was pushed, and the daemon fetches.
"""

from __future__ import annotations

import base64
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
SIGNATURES_LIMIT = 10
"""Of one request: a sender that changes its secret signs with both."""
BURST = 10
PER_SECOND = 1.0
"""So many requests at once, and so many per second on average, make the daemon fetch; others get status 429."""
TOLERANCE_S = 300.0
"""How far the timestamp of a Standard Webhook may be off, in both directions."""
# Each is the HMAC-SHA256 of the body in hex, behind the prefix: GitHub, Bitbucket, Gitea, Forgejo, Gogs.
_SIGNED = {
    "x-hub-signature-256": b"sha256=",
    "x-hub-signature": b"sha256=",
    "x-gitea-signature": b"",
    "x-forgejo-signature": b"",
    "x-gogs-signature": b"",
}
_TOKEN, _STANDARD = "x-gitlab-token", "webhook-signature"
_BY_ID = b"id"
_PROOFS = {*_SIGNED, _TOKEN, _STANDARD}


@dataclass(frozen=True, slots=True)
class HookVerdict:
    """An HTTP status and a sentence; `look`: fetch now; `later`: fetch in a second, as there were too many requests."""

    status: int
    text: str
    look: bool = False
    later: bool = False


UNPROVEN = HookVerdict(
    403,
    "no valid signature: X-Hub-Signature-256, X-Hub-Signature (sha256=), X-Gitea-Signature, X-Forgejo-Signature, "
    "X-Gogs-Signature, webhook-signature or X-Gitlab-Token",
)
LATE = HookVerdict(403, f"webhook-timestamp is more than {TOLERANCE_S:.0f} s off: set the clocks of both machines")


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

    def judge(self, headers: Mapping[str, str], body: bytes, now: float, unix_s: float) -> HookVerdict:
        """The answer to a request. Names of headers may have any case. `now`: monotonic."""
        if len(body) > BODY_LIMIT_BYTES:
            return HookVerdict(413, f"the body has more than {BODY_LIMIT_BYTES} bytes")
        given = {name.lower(): value.strip().encode("utf-8", "surrogatepass") for name, value in headers.items()}
        proof = self._proof(given, body)
        if not proof:
            return UNPROVEN
        if proof.startswith(_BY_ID) and not _near(given.get("webhook-timestamp", b""), unix_s):
            return LATE
        if self._replayed(proof, now):
            return HookVerdict(200, "seen before")
        if not self._within_rate(now):
            return HookVerdict(429, "too many requests: one fetch within a second serves them all", later=True)
        self._seen[proof] = now
        return HookVerdict(202, "looking", look=True)

    def _proof(self, given: Mapping[str, bytes], body: bytes) -> bytes:
        """The proof of the sender, the same if the request is sent again; empty if there is none.

        Only signed content counts: an attacker could replay a request under another delivery id.
        """
        wanted = hmac.new(self.secret, body, hashlib.sha256).hexdigest().encode()
        for name, prefix in _SIGNED.items():
            said = given.get(name, b"")
            if said.startswith(prefix) and hmac.compare_digest(said.removeprefix(prefix), wanted):
                return wanted
        if self._is_standard(given, body):
            return _BY_ID + hashlib.sha256(given.get("webhook-id", b"")).digest()
        token = given.get(_TOKEN, b"")
        if token and hmac.compare_digest(token, self.secret):  # whoever knows the token needs no replay
            # GitLab repeats the id in what an event has led to, and a body if a branch goes to and fro.
            event = given.get("x-gitlab-event-uuid") or given.get("idempotency-key") or b""
            return b"gitlab" + hashlib.sha256(event + b"\0" + body).digest()
        return b""

    def _is_standard(self, given: Mapping[str, bytes], body: bytes) -> bool:
        """Whether one of its signatures holds; GitLab's signing tokens make such."""
        said = [one.removeprefix(b"v1,") for one in given.get(_STANDARD, b"").split() if one.startswith(b"v1,")]
        signed = b".".join((given.get("webhook-id", b""), given.get("webhook-timestamp", b""), body))
        wanted = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in self._keys()]
        return any(hmac.compare_digest(one, right) for one in said[:SIGNATURES_LIMIT] for right in wanted)

    def _keys(self) -> tuple[bytes, ...]:
        """The secret as it is, and what it stands for where it is written `whsec_` and base64."""
        if not self.secret.startswith(b"whsec_"):
            return (self.secret,)
        try:
            return (self.secret, base64.b64decode(self.secret.removeprefix(b"whsec_"), validate=True))
        except ValueError:
            return (self.secret,)

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


def _near(timestamp: bytes, unix_s: float) -> bool:
    return timestamp.isdigit() and len(timestamp) < 20 and abs(int(timestamp) - unix_s) <= TOLERANCE_S
