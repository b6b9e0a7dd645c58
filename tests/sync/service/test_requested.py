"""A request whose daemon loses the server on the way is answered with what became of it, never with "nothing was done"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as BrokenError

from luasprocs.contract.codes import DesiredState
from luasprocs.contract.keys import Keys
from luasprocs.errors import LostReplyError
from luasprocs.registry.history import read_history
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state import requests
from luasprocs.state.desired import SyncState
from sync.service.fetching import Fetches
from sync.service.reconciliation import Reconciliation
from sync.service.requested import Requested
from tests.live import put, sproc
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

KEYS = Keys()
OPEN = "the rollback may or may not have been done"


def reconcile(_: bool) -> Reconciliation:
    return Reconciliation(SyncState(state=DesiredState.SYNCED))


@pytest.fixture
def registry(server: Server) -> Registry:
    """With two generations."""
    found = Registry(server.client(), KEYS)
    for number in range(2):
        put(found.client, sproc("a.lua", f"return {number}"))
    return found


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as found:
        yield found


def rolled_back(registry: Registry) -> int:
    return sum(one.action.startswith("rollback") for one in read_history(registry))


def answer(registry: Registry, asked: str) -> requests.Answer:
    found = requests.find_answer(registry, asked)
    assert found
    return found


def test_an_answer_that_could_not_be_sent_is_sent_again(registry: Registry, proxy: Proxy) -> None:
    requested = Requested(Registry(connect(proxy.url), KEYS), "one", remote=False)
    asked = requests.request(registry, "rollback", "ann")
    proxy.cut_command(kind="EXEC XACK", after=False)
    with pytest.raises(BrokenError):
        requested.answer(Fetches(), reconcile)
    requested.answer(Fetches(), reconcile)
    said = answer(registry, asked)
    assert (said.ok, said.text.endswith("generation 3"), rolled_back(registry)) == (True, True, 1)


def test_what_was_done_before_the_server_went_is_open(registry: Registry, proxy: Proxy) -> None:
    requested = Requested(Registry(connect(proxy.url), KEYS), "one", remote=False)
    asked = requests.request(registry, "rollback", "ann")
    proxy.refused_then = "HGETALL"
    proxy.cut_command(kind="EXEC PUBLISH", after=True)
    with pytest.raises(LostReplyError):
        requested.answer(Fetches(), reconcile)
    proxy.refused = proxy.refused_then = ""
    requested.answer(Fetches(), reconcile)
    said = answer(registry, asked)
    assert (said.ok, said.refusal, OPEN in said.text, rolled_back(registry)) == (False, "", True, 1)


def test_what_a_daemon_that_is_gone_has_left_is_open(registry: Registry) -> None:
    asked = requests.request(registry, "rollback", "ann")
    assert [one.left for one in requests.take(registry, "gone")] == [False]
    put(registry.client, sproc("a.lua", "return 3"))
    registry.client.xclaim(KEYS.control, requests.GROUP, "gone", 0, [asked], idle=requests.STALE_MS + 1)
    Requested(registry, "one", remote=False).answer(Fetches(), reconcile)
    said = answer(registry, asked)
    assert (said.ok, said.refusal, OPEN in said.text) == (False, "", True)
