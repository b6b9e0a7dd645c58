"""Whose webhooks are believed, and how often."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from sync.service.webhook import BODY_LIMIT_BYTES, BURST, REPLAY_WINDOW_S, Webhook, claims

SECRET = b"a secret of some length"
BODY = b'{"ref": "refs/heads/main"}'


def signed(body: bytes = BODY, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": f"sha256={signed()}", "X-GitHub-Delivery": "1"},
        {"x-hub-signature-256": f"sha256={signed()}"},
        {"X-Gitea-Signature": signed(), "X-Gitea-Delivery": "1"},
        {"X-Gitlab-Token": SECRET.decode(), "X-Gitlab-Event-UUID": "1"},
    ],
)
def test_each_forge_is_believed_once(headers):
    hook = Webhook(SECRET)
    assert hook.judge(headers, BODY, 0.0).look
    again = hook.judge(headers, BODY, 1.0)
    assert (again.status, again.look) == (200, False)
    assert hook.judge(headers, BODY, REPLAY_WINDOW_S + 2).look


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": signed(secret=b"another")},
        {"X-Hub-Signature-256": f"sha256={signed(b'another body')}"},
        {"X-Hub-Signature-256": "sha256=\u00e9"},
        {"X-Gitlab-Token": "another"},
        {"X-Gitlab-Token": ""},
        {"X-Gitea-Signature": "0" * 64},
    ],
)
def test_others_are_not(headers):
    verdict = Webhook(SECRET).judge(headers, BODY, 0.0)
    assert (verdict.status, verdict.look) == (403, False)


def test_githubs_own_example():
    """From its documentation, "Validating webhook deliveries"."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    hook = Webhook(b"It's a Secret to Everybody")
    assert hook.judge({"X-Hub-Signature-256": signature}, b"Hello, World!", 0.0).look
    assert hook.judge({"X-Hub-Signature-256": signature}, b"Hello, World.", 0.0).status == 403


@pytest.mark.parametrize("header", ["X-GitHub-Delivery", "X-Gitea-Delivery", "X-Gitlab-Event-UUID"])
def test_what_is_not_signed_makes_no_new_request_of_an_old_one(header):
    hook = Webhook(SECRET)
    for number in range(3):
        headers = {"X-Hub-Signature-256": f"sha256={signed()}", header: str(number)}
        assert hook.judge(headers, BODY, 0.0).look == (number == 0)
        assert hook.judge({"X-Gitea-Signature": signed(), header: str(number)}, BODY, 0.0).look is False


@pytest.mark.parametrize("strange", ["\udcff", "\u00e9", "\0", "x" * 8000])
@pytest.mark.parametrize("name", ["X-GitHub-Delivery", "X-Gitlab-Event-UUID", "Idempotency-Key", "X-Gitlab-Token"])
def test_headers_that_are_no_text_are_judged_like_others(name, strange):
    hook = Webhook(SECRET)
    assert hook.judge({name: strange}, BODY, 0.0).status == 403
    assert hook.judge({"X-Gitlab-Token": "another", name: strange}, BODY, 0.0).status == 403
    assert hook.judge({name: strange, "X-Gitlab-Token": SECRET.decode()}, BODY, 0.0).look


def test_only_who_claims_something_is_read():
    assert not claims({"X-GitHub-Delivery": "1", "Content-Type": "application/json"})
    for name in ("X-Hub-Signature-256", "x-gitea-signature", "X-GITLAB-TOKEN"):
        assert claims({name: ""})


def test_a_flood_is_slowed_and_a_large_body_refused():
    hook = Webhook(SECRET)
    statuses = []
    for number in range(100):
        body = b"%d" % number
        statuses.append(hook.judge({"X-Gitea-Signature": signed(body)}, body, number / 100).status)
    assert statuses.count(202) == BURST
    assert statuses.count(429) == 100 - BURST
    assert hook.judge({"X-Gitea-Signature": signed(b"later")}, b"later", 10.0).look
    large = b"x" * (BODY_LIMIT_BYTES + 1)
    assert hook.judge({"X-Gitea-Signature": signed(large)}, large, 20.0).status == 413
