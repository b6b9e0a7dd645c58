"""Whose webhooks are believed, and how often."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from sync.service.webhook import BODY_LIMIT_BYTES, BURST, REPLAY_WINDOW_S, Webhook, claims

UNIX_S = 1_700_000_000.0
SECRET = b"a secret of some length"
BODY = b'{"ref": "refs/heads/main"}'


def signed(body: bytes = BODY, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def standard(
    key: bytes = SECRET, unix_s: float = UNIX_S, *, body: bytes = BODY, signatures: str = "{}"
) -> dict[str, str]:
    """Headers of Standard Webhooks, which GitLab's signing tokens make, too."""
    text = f"msg_1.{unix_s:.0f}.".encode() + body
    signature = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": f"{unix_s:.0f}",
        "webhook-signature": signatures.format(signature),
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": f"sha256={signed()}", "X-GitHub-Delivery": "1"},
        {"x-hub-signature-256": f"sha256={signed()}"},
        {"X-Gitea-Signature": signed(), "X-Gitea-Delivery": "1"},
        {"X-Gitlab-Token": SECRET.decode(), "X-Gitlab-Event-UUID": "1"},
        {"X-Hub-Signature": f"sha256={signed()}", "X-Event-Key": "repo:refs_changed"},  # Bitbucket
        {"X-Gogs-Signature": signed()},
        {"X-Forgejo-Signature": signed(), "X-Gitea-Signature": signed(), "X-Hub-Signature": "sha1=00"},
        standard(),
        standard(signatures="v1,AAAA v1a,BBBB {}"),
    ],
)
def test_each_forge_is_believed_once(headers):
    hook = Webhook(SECRET)
    assert hook.judge(headers, BODY, 0.0, UNIX_S).look
    again = hook.judge(headers, BODY, 1.0, UNIX_S)
    assert (again.status, again.look) == (200, False)
    assert hook.judge(headers, BODY, REPLAY_WINDOW_S + 2, UNIX_S).look


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
        {"X-Hub-Signature": signed()},
        {"X-Hub-Signature": "sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest()},
        {"X-Gogs-Signature": f"sha1={signed()}"},
        standard(b"another"),
        standard(body=b"another"),
        standard() | {"webhook-id": "msg_2"},
        standard() | {"webhook-timestamp": "1700000001"},
        standard() | {"webhook-signature": ""},
        standard(signatures="v2{}"),
        standard(signatures="v1,AAAA " * 20 + "{}"),
        standard(unix_s=UNIX_S - 301),
        standard(unix_s=UNIX_S + 301),
    ],
)
def test_others_are_not(headers):
    verdict = Webhook(SECRET).judge(headers, BODY, 0.0, UNIX_S)
    assert (verdict.status, verdict.look) == (403, False)


def test_what_one_event_at_gitlab_leads_to_is_another_one():
    hook, headers = Webhook(SECRET), {"X-Gitlab-Token": SECRET.decode(), "X-Gitlab-Event-UUID": "1"}
    assert hook.judge(headers, BODY, 0.0, UNIX_S).look
    assert hook.judge(headers, b'{"ref": "refs/heads/side"}', 0.0, UNIX_S).look
    assert hook.judge(headers | {"X-Gitlab-Event-UUID": "2"}, BODY, 0.0, UNIX_S).look
    assert not hook.judge(headers, BODY, 0.0, UNIX_S).look


def test_githubs_own_example():
    """From its documentation, "Validating webhook deliveries"."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    hook = Webhook(b"It's a Secret to Everybody")
    assert hook.judge({"X-Hub-Signature-256": signature}, b"Hello, World!", 0.0, UNIX_S).look
    assert hook.judge({"X-Hub-Signature-256": signature}, b"Hello, World.", 0.0, UNIX_S).status == 403


@pytest.mark.parametrize("header", ["X-GitHub-Delivery", "X-Gitea-Delivery", "X-Gitlab-Event-UUID"])
def test_what_is_not_signed_makes_no_new_request_of_an_old_one(header):
    hook = Webhook(SECRET)
    for number in range(3):
        headers = {"X-Hub-Signature-256": f"sha256={signed()}", header: str(number)}
        assert hook.judge(headers, BODY, 0.0, UNIX_S).look == (number == 0)
        assert hook.judge({"X-Gitea-Signature": signed(), header: str(number)}, BODY, 0.0, UNIX_S).look is False


@pytest.mark.parametrize("strange", ["\udcff", "\u00e9", "\0", "x" * 8000])
@pytest.mark.parametrize("name", ["X-GitHub-Delivery", "X-Gitlab-Event-UUID", "Idempotency-Key", "X-Gitlab-Token"])
def test_headers_that_are_no_text_are_judged_like_others(name, strange):
    hook = Webhook(SECRET)
    assert hook.judge({name: strange}, BODY, 0.0, UNIX_S).status == 403
    assert hook.judge({"X-Gitlab-Token": "another", name: strange}, BODY, 0.0, UNIX_S).status == 403
    assert hook.judge({name: strange, "X-Gitlab-Token": SECRET.decode()}, BODY, 0.0, UNIX_S).look


def test_only_who_claims_something_is_read():
    assert not claims({"X-GitHub-Delivery": "1", "Content-Type": "application/json"})
    for name in ("X-Hub-Signature-256", "x-gitea-signature", "X-GITLAB-TOKEN"):
        assert claims({name: ""})


def test_a_flood_is_slowed_and_a_large_body_refused():
    hook = Webhook(SECRET)
    statuses = []
    for number in range(100):
        body = b"%d" % number
        statuses.append(hook.judge({"X-Gitea-Signature": signed(body)}, body, number / 100, UNIX_S).status)
    assert statuses.count(202) == BURST
    assert statuses.count(429) == 100 - BURST
    assert hook.judge({"X-Gitea-Signature": signed(b"later")}, b"later", 10.0, UNIX_S).look
    large = b"x" * (BODY_LIMIT_BYTES + 1)
    assert hook.judge({"X-Gitea-Signature": signed(large)}, large, 20.0, UNIX_S).status == 413


def test_the_example_of_standard_webhooks():
    """From its specification's own test vectors."""
    hook = Webhook(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert hook.judge(headers, b'{"test": 2432232314}', 0.0, 1614265330).look
    assert hook.judge(headers, b'{"test": 2432232314}', 0.0, 1614265330).text == "seen before"
    assert hook.judge(headers, b'{"test": 2432232315}', 0.0, 1614265330).status == 403
    assert "timestamp" in Webhook(hook.secret).judge(headers, b'{"test": 2432232314}', 0.0, 1614265330 + 301).text


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1e9", "9" * 30, "\u0661"])
def test_a_timestamp_that_is_none_is_refused(timestamp):
    text = f"msg_1.{timestamp}.".encode() + BODY
    signature = base64.b64encode(hmac.new(SECRET, text, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    assert Webhook(SECRET).judge(headers, BODY, 0.0, UNIX_S).status == 403


def test_the_same_message_sent_again_with_a_new_time_is_no_new_one():
    hook = Webhook(SECRET)
    assert hook.judge(standard(), BODY, 0.0, UNIX_S).look
    assert not hook.judge(standard(unix_s=UNIX_S + 60), BODY, 60.0, UNIX_S + 60).look
