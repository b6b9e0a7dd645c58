"""Requests that anybody may send: nothing but a signature makes the daemon look."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.service.webhook import Webhook, claims
from tests.fuzz.mutated import ANYTHING, mutated
from tests.soak import SOAK, examples

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
UNIX_S = 1_700_000_000.0
SECRETS = (b"a secret of some length", b"whsec_YSBzZWNyZXQgb2Ygc29tZSBsZW5ndGg=", b"whsec_no base64", b"\xff" * 16)
BODY = b'{"ref": "refs/heads/main"}'
NAMES = (
    *("X-Hub-Signature-256", "x-hub-signature", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature", "X-Gitlab-Token"),
    *("webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key", "X-Gitlab-Event-UUID", "Content-Length", ""),
)  # fmt: skip


def proofs(secret: bytes, body: bytes) -> list[bytes]:
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    near = digest[:8] + digest[8:][::-1]
    return [b"sha256=" + digest, digest, b"sha256=" + near, near, b"v1," + digest, b"1700000000", b"msg_1", secret[:-1]]


def proven(headers: dict[str, str], secret: bytes, body: bytes) -> bool:
    """Whether one of them is what only who knows the secret can make of this body, as the forges' pages say."""
    right = hmac.new(secret, body, hashlib.sha256).hexdigest()
    given = {name.lower(): value.strip().encode("utf-8", "surrogatepass") for name, value in headers.items()}
    return given.get("x-gitlab-token") == secret or any(
        given.get(name) in {f"sha256={right}".encode(), right.encode()} for name in (one.lower() for one in NAMES[:5])
    )


@examples(250)
@given(st.sampled_from(SECRETS), st.data())
def test_any_headers_and_any_body(secret, data):
    body = data.draw(mutated([BODY]))
    likely = proofs(b"another secret of some length", body) + proofs(secret, body + b"x") + 3 * proofs(secret, body)
    values = mutated(likely).map(lambda value: value.decode("utf-8", "surrogateescape"))
    headers = data.draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
    hook = Webhook(secret)
    verdict = hook.judge(headers, body, data.draw(st.floats(0, 1e9)), data.draw(st.sampled_from([UNIX_S, 0.0, 1e12])))
    if proven(headers, secret, body):
        assert verdict.status in {202, 403}
    else:
        assert (verdict.status, verdict.look, verdict.later) == (403, False, False)
    assert claims(headers) in {True, False}


@examples(100)
@given(
    mutated([b"1700000000", b"1699999900", b"0", "\u0661".encode()]), mutated([b"msg_1"]), st.sampled_from(SECRETS[:1])
)
def test_any_time_of_a_standard_webhook(timestamp, name, secret):
    said = {"webhook-id": name, "webhook-timestamp": timestamp.strip()}
    headers = {one: value.decode("utf-8", "surrogateescape").strip() for one, value in said.items()}
    given = [value.encode("utf-8", "surrogatepass") for value in headers.values()]
    signature = hmac.new(secret, b".".join((*given, BODY)), hashlib.sha256).digest()
    headers["webhook-signature"] = "v1," + base64.b64encode(signature).decode()
    digits = headers["webhook-timestamp"]
    near = digits.isascii() and digits.isdigit() and len(digits) < 20 and abs(int(digits) - UNIX_S) <= 300
    assert Webhook(secret).judge(headers, BODY, 0.0, UNIX_S).look == near


@examples(100)
@given(st.lists(st.tuples(ANYTHING, st.floats(-1, 2)), max_size=60))
def test_no_more_looks_than_the_rate_allows(requests):
    hook, now, looks = Webhook(SECRETS[0]), 0.0, 0
    for body, rest_s in requests:
        now = max(0.0, now + rest_s)
        looks += hook.judge({"X-Gogs-Signature": proofs(SECRETS[0], body)[1].decode()}, body, now, UNIX_S).look
    assert looks <= 10 + sum(max(0.0, rest_s) for _, rest_s in requests) + 1
