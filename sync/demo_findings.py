"""The tour's part on what is wrong: each has a name in `luasprocs status`, and is mended."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from luasprocs.server.registry import Registry
from luasprocs.state.daemons import read_running
from sync.demo_steps import Steps

if TYPE_CHECKING:
    from redis import Redis


class FindingSteps(Steps):
    """Begins with a commit that is refused."""

    def _find(self, client: Redis) -> None:
        self._say("what is wrong has a name: the commit that is refused, a daemon that is killed")
        with self._daemon() as process:
            self._wait_for("the refusal", lambda: client.hget(self._keys.desired, "state") == b"refused")
            self._finds("refused")
            self._console.line("$ kill -9 %1", "bold")
            process.kill()
            process.wait()
        self._wait_for("its silence", lambda: not read_running(Registry(client, self._keys)).alive)
        self._finds("refused", "no_daemon", "daemon_silent")
        self._say("a new commit and another daemon mend that; of the one that was killed we know now")
        self._run("git", "rm", "--quiet", "-f", "sprocs/broken.lua")
        self._run("git", "commit", "--quiet", "-m", "Mend it")
        with self._daemon():
            head = self._capture(["git", "rev-parse", "HEAD"])[1].strip().encode()
            self._wait_for("the commit", lambda: client.hget(self._keys.revision, "commit") == head)
            self._finds("daemon_silent")
            silent = [one.id for one in read_running(Registry(client, self._keys)).daemons if one.pid == process.pid]
            client.hdel(self._keys.daemons, *silent)  # after ten minutes it would be forgotten
            self._fail(client)

    def _fail(self, client: Redis) -> None:
        self._say("a sproc that fails: sc3.lua finds a string where its list was")
        self._redis(client, "SET", "ttlLst", "no list")
        stats = self._keys.stats("sc3.lua")
        self._wait_for("a run that fails", lambda: client.hget(stats, "last_status") == b"error")
        self._finds("failing")
        self._redis(client, "DEL", "ttlLst")
        self._wait_for("a run that doesn't", lambda: client.hget(stats, "last_status") == b"ok")
        self._say("what nobody was there for stays a finding for a day, or until somebody says that it is known")
        self._run("luasprocs", "status", "--acknowledge")

    def _finds(self, *codes: str) -> None:
        """That `luasprocs status` names these, and beside them what no daemon was there for."""
        self._run("luasprocs", "status", code=1)
        found = json.loads(self._capture([sys.executable, "-m", "sync.cli", "status", "--json"])[1])["findings"]
        self._expect("the findings", {one["code"] for one in found} - {"gap", "missed"}, set(codes))
