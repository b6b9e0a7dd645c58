"""A provider's cluster: one endpoint, and a user who may not administer anything."""

from __future__ import annotations

from functools import partial

import pytest

from tests.sync.commands.shell import Shell
from tests.until import until

SECRET = "s3cret"
REFUSED = (
    "-config",
    "-acl",
    "-debug",
    "-shutdown",
    "-replicaof",
    "-save",
    "-bgsave",
    "-bgrewriteaof",
    "-module",
    "-migrate",
)
"""What a provider may refuse. Of CLUSTER see ASKED."""
ASKED = (
    "-cluster",
    "+cluster|slots",
    "+cluster|shards",
    "+cluster|nodes",
    "+cluster|info",
    "+cluster|keyslot",
    "+cluster|myid",
)
SEEN = "-- event=set\n-- key=order:*\nreturn redis.call('INCR', 'seen:{' .. KEYS[1] .. '}')\n"


@pytest.fixture
def endpoint(cluster):
    """The URL of one node for such a user. Keyspace events are switched on, as in the provider's settings."""
    cluster.configure(notify_keyspace_events="KA")
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", "&*", "+@all", *REFUSED, *ASKED)
    return cluster.nodes[1].url.replace("://", f"://app:{SECRET}@")


def test_sync_calls_and_events_need_no_configuration(repo, cluster, endpoint, monkeypatch, capsysbinary, start_daemon):
    monkeypatch.setenv("LUASPROCS_REDIS", endpoint)
    shell = Shell(repo, cluster.nodes[0], capsysbinary)
    shell.commit(seen=SEEN, count="return redis.call('INCR', KEYS[1])")
    assert shell.ok("sync", "--json").json["generation"] == 1
    assert shell.ok("execute", "count.lua", "--key", "k").out == "1\n"
    daemon = start_daemon(endpoint)
    orders = [next(f"order:{n}" for n in range(1000) if cluster.at(f"order:{n}") is node) for node in cluster.nodes]
    for node, order in zip(cluster.nodes, orders, strict=True):
        node.ask("SET", order, "new")
    for node, order in zip(cluster.nodes, orders, strict=True):
        until(partial(node.ask, "GET", f"seen:{{{order}}}"))
        assert node.ask("GET", f"seen:{{{order}}}") == "1"
    assert SECRET not in daemon.output


def test_without_keyspace_events_the_daemon_says_what_to_set(
    repo, cluster, endpoint, monkeypatch, capsysbinary, start_daemon
):
    cluster.configure(notify_keyspace_events="")
    monkeypatch.setenv("LUASPROCS_REDIS", endpoint)
    shell = Shell(repo, cluster.nodes[0], capsysbinary)
    shell.commit(seen=SEEN)
    shell.ok("sync")
    daemon = start_daemon(endpoint)
    daemon.until("notify-keyspace-events")
    assert {node.ask("CONFIG", "GET", "notify-keyspace-events")[1] for node in cluster.nodes} == {""}
