from __future__ import annotations

import asyncio

import pytest
from redis import Redis, exceptions
from redis import asyncio as async_redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from luasprocs.server.errors import named
from luasprocs.server.reasons import reason

URL = "redis://127.0.0.1:9/0"


def _of_redis_py(url: str) -> exceptions.RedisError:
    with Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(exceptions.RedisError) as raised:
        client.ping()
    return raised.value


def _of_asyncio(url: str) -> exceptions.RedisError:
    async def ping() -> None:
        async with async_redis.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0)) as client:
            await client.ping()

    with pytest.raises(exceptions.RedisError) as raised:
        asyncio.run(ping())
    return raised.value


@pytest.mark.wording
@pytest.mark.parametrize("failure", [_of_redis_py, _of_asyncio])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        (URL, "Connection refused"),
        ("redis://localhost:9/0", "Connection refused"),
        ("redis://no-such-host.invalid:6379/0", ""),
        ("unix:///no/such/socket", "No such file or directory"),
    ],
)
def test_the_system_says_why_without_the_address(failure, url, why):
    error = failure(url)
    said = reason(error)
    assert said == why or (not why and said)
    assert "Errno" not in said
    assert "connecting to" not in said
    assert str(named(error, url)).endswith(f"({said})")


def test_what_the_system_did_not_say_stays_as_it_is():
    assert reason(exceptions.ConnectionError("Connection closed by server.")) == "Connection closed by server."
