"""A MULTI that is sent in pieces: all of it, or nothing and the reason."""

from __future__ import annotations

import pytest
from redis.exceptions import OutOfMemoryError, ResponseError, WatchError

from luasprocs.server.pipeline import SEND_BYTES, borrowed, packed, transact


@pytest.fixture
def client(server):
    return server.client()


def test_more_than_one_piece_is_one_transaction(client):
    values = {f"k{number}": b"x" * (SEND_BYTES // 3) for number in range(10)}
    with borrowed(client) as connection:
        replies = transact(connection, (packed("SET", key, value) for key, value in values.items()))
    assert replies == [b"OK"] * 10
    assert client.mget(values) == list(values.values())


def test_a_watched_key_that_changed_stops_it(client):
    with borrowed(client) as connection:
        connection.send_command("WATCH", "a")
        connection.read_response()
        client.set("a", "theirs")
        with pytest.raises(WatchError):
            transact(connection, [packed("SET", "a", "ours")])
    assert client.get("a") == b"theirs"


def test_what_is_refused_at_queueing_is_said_in_the_servers_words(client):
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError), borrowed(client) as connection:
            transact(connection, [packed("DEL", "b"), packed("SET", "a", 1)])
    finally:
        client.config_set("maxmemory", "0")
    assert not client.exists("a")


def test_what_fails_inside_exec_is_among_the_replies(client):
    client.set("text", "x")
    with borrowed(client) as connection:
        one, other = transact(connection, [packed("HSET", "text", "f", 1), packed("SET", "a", 1)])
    assert isinstance(one, ResponseError)
    assert other == b"OK"


def fail_with_a_reply_under_way(client):
    with borrowed(client) as connection:
        connection.send_packed_command([packed("ECHO", "past")])
        raise RuntimeError


def test_after_a_failure_the_connection_has_no_reply_of_the_past(client):
    with pytest.raises(RuntimeError):
        fail_with_a_reply_under_way(client)
    assert client.echo("now") == b"now"
