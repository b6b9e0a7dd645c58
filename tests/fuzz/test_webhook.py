"""Requests that anybody may send: nothing but a signature makes the daemon look."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.service.webhook import Webhook, claims
from tests.fuzz.mutated import ANYTHING, mutated
from tests.soak import SOAK, examples

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 60)]
UNIX_S = 1_700_000_000.0
SECRETS = (b"a secret of some length", b"whsec_YSBzZWNyZXQgb2Ygc29tZSBsZW5ndGg=", b"whsec_no base64", b"\xff" * 16)
BODY = b'{"ref": "refs/heads/main"}'
NAMES = (
    *("X-Hub-Signature-256", "x-hub-signature", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature", "X-Gitlab-Token"),
    *("webhook-id", "webhook-timestamp", "webhook-signature", "idempotency-key", "X-Gitlab-Event-UUID", "Content-Length", ""),
)  # fmt: skip


def proofs(secret: bytes, body: bytes) -> list[bytes]:
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    return [b"sha256=" + digest, digest, b"v1," + digest, b"1700000000", b"msg_1", secret[:-1]]


@examples(100)
@given(st.sampled_from(SECRETS), st.data())
def test_any_headers_and_any_body(secret, data):
    body = data.draw(mutated([BODY]))
    about_another = proofs(b"another secret of some length", body) + proofs(secret, body + b"x")
    values = mutated(about_another).map(lambda value: value.decode("utf-8", "surrogateescape"))
    headers = data.draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
    hook = Webhook(secret)
    verdict = hook.judge(headers, body, data.draw(st.floats(0, 1e9)), data.draw(st.sampled_from([UNIX_S, 0.0, 1e12])))
    assert (verdict.status, verdict.look, verdict.later) in {(403, False, False), (413, False, False)}
    assert claims(headers) in {True, False}
    signed = {**{name: value for name, value in headers.items() if name.lower() != "x-hub-signature-256"}}
    signed["X-Hub-Signature-256"] = proofs(secret, body)[0].decode()
    assert hook.judge(signed, body, 1e9, UNIX_S).look
    assert not hook.judge(signed, body, 1e9, UNIX_S).look


@examples(100)
@given(st.lists(st.tuples(ANYTHING, st.floats(-1, 2)), max_size=60))
def test_no_more_looks_than_the_rate_allows(requests):
    hook, now, looks = Webhook(SECRETS[0]), 0.0, 0
    for body, rest_s in requests:
        now = max(0.0, now + rest_s)
        looks += hook.judge({"X-Gogs-Signature": proofs(SECRETS[0], body)[1].decode()}, body, now, UNIX_S).look
    assert looks <= 10 + sum(max(0.0, rest_s) for _, rest_s in requests) + 1
