"""Asks Sentinels which server is the master."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis import exceptions

from luasprocs.contract.encoding import text
from luasprocs.server.errors import is_no_quorum, is_no_sentinel, is_unknown_master
from luasprocs.server.guide_errors import Why
from luasprocs.server.guides import Guides
from luasprocs.server.urls import place

if TYPE_CHECKING:
    from redis import asyncio as async_redis

    from luasprocs.server.guide_errors import GuideError


class _Told(NamedTuple):
    """What one Sentinel says. `epoch`: the configuration's, of which the newest is right."""

    client: async_redis.Redis
    address: tuple[str, int]
    epoch: int
    down: bool


class Sentinels(Guides):
    """The Sentinels of a URL. They may have a user of their own."""

    def _login(self) -> tuple[str | None, str | None]:
        options = self.endpoint.options
        return options.get("sentinel_username"), options.get("sentinel_password")

    async def master(self) -> tuple[str, int]:
        """As the Sentinels say that have the newest configuration."""
        told = await self._each(self._ask, self._clients)
        newest = max(one.epoch for one in told)
        best = [one for one in told if one.epoch == newest]
        usable = [one for one in best if not one.down]
        if usable and 2 * len(usable) >= len(best):
            found: tuple[str, int] = usable[0].address
            return found
        raise await self._down(best[0])

    async def others(self) -> list[tuple[str, int]]:
        told = await self._each(self._replicas, self._clients)
        return max(told, key=len)

    async def _replicas(self, client: async_redis.Redis) -> list[tuple[str, int]]:
        return [(one["ip"], one["port"]) for one in await client.sentinel_slaves(self.endpoint.master)]

    async def _ask(self, client: async_redis.Redis) -> _Told:
        name = self.endpoint.master
        pipe: Any = client.pipeline(transaction=False)
        pipe.sentinel_master(name)
        pipe.sentinel_get_master_addr_by_name(name)
        state, named = await pipe.execute()
        announced = (state["ip"], state["port"])
        # While it fails over, a Sentinel names the new master by the second command alone.
        address = (text(named[0]), named[1]) if named else announced
        down = address == announced and (state["is_sdown"] or state["is_odown"] or not state["is_master"])
        return _Told(client, address, state["config-epoch"], down)

    def _refusal(self, error: object) -> Why | None:
        if is_unknown_master(error):
            return Why.UNKNOWN_NAME
        return Why.NO_GUIDE if is_no_sentinel(error) else super()._refusal(error)

    async def _down(self, told: _Told) -> GuideError:
        where = place(*told.address)
        try:
            await told.client.execute_command("SENTINEL CKQUORUM", self.endpoint.master)
        except exceptions.ResponseError as error:
            if is_no_quorum(error):
                return self._because(Why.NO_QUORUM, address=where, said=str(error))
        except exceptions.RedisError:
            pass
        return self._because(Why.DOWN, address=where)
