"""Whose webhooks are believed, and how often."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from sync.webhook import BODY_LIMIT_BYTES, BURST, REPLAY_WINDOW_S, Webhook

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
