"""Requests to daemons: each is answered, whatever connection breaks."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.requests import Answer, answer, request, take, wait_for_answer
from tests.proxy import Proxy

KEYS = Keys()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_request_whose_reply_was_lost_is_taken_again(server, after):
    registry = Registry(server.client(), KEYS)
    asked = request(registry, "sync", "somebody")
    assert take(registry, "d0") != []  # the group is there
    again = request(registry, "sync", "somebody")
    with Proxy(server.port) as proxy:
        behind = Registry(Redis(port=proxy.port, protocol=2, retry=Retry(NoBackoff(), 0)), KEYS)
        proxy.cut_command(b">", after=after)
        with pytest.raises(RedisError):
            take(behind, "d1")
        assert proxy.command_cut.wait(5)
        [found] = take(behind, "d1")
        assert found.id == again
        answer(behind, found, Answer(ok=True, text="done"))
        assert take(behind, "d1") == []
    assert wait_for_answer(registry, again, 5) == Answer(ok=True, text="done")
    assert [one.id for one in take(registry, "d0")] == [asked]
