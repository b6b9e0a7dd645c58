"""From a URL to the shards behind it, and what is said where there are none."""

from __future__ import annotations

import pytest

from luasprocs.errors import (
    ServerAuthenticationError,
    ServerError,
    ServerMovedError,
    ServerUnreachableError,
    SettingsError,
)
from luasprocs.server.cluster import ASK, why_down
from luasprocs.server.connection import errors_named
from luasprocs.server.fleet import open_registry
from luasprocs.server.guide_errors import GuideError, Why
from luasprocs.server.slots import slot_of
from tests.until import until

QUICKLY = "?socket_connect_timeout=1"
DEAD = "127.0.0.1:1"


def shards_of(url):
    """Port and slots of each shard; its own tag is one of these slots."""
    registry = open_registry(url)
    found = []
    for shard in registry.shards:
        with shard.client as client:
            assert shard.at(f"{{{shard.keys.tag}}}".encode()) is shard
            assert any(slot_of(shard.keys.tag.encode()) in one for one in shard.ranges)
            found.append((client.info("server")["tcp_port"], shard.ranges))
    registry.home.client.close()
    return sorted(found)


def expected(cluster):
    return sorted((node.port, node.ranges) for node in cluster.nodes)


def refused(url):
    with pytest.raises(GuideError) as caught:
        open_registry(url)
    with pytest.raises(ServerUnreachableError) as named, errors_named(url):
        raise caught.value
    return caught.value.why, str(named.value)


def test_every_node_and_every_list_of_seeds_leads_to_all_shards(cluster):
    for url in (*cluster.urls, cluster.seeds_url, cluster.seeds(before=DEAD)):
        assert shards_of(url) == expected(cluster)


def test_a_key_leads_to_the_shard_that_serves_it(cluster):
    registry = open_registry(cluster.url)
    for number in range(50):
        key = f"key{number}"
        assert registry.at(key.encode()).client.set(key, "1")
        assert cluster.at(key).ask("GET", key) == "1"
    for one in (*registry.shards, registry.home):
        one.client.close()


def test_user_and_password_are_for_every_node(cluster):
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", "ann", "on", ">s3cret", "+@all", "~*", "&*")
        node.ask("ACL", "SETUSER", "default", "resetpass", ">other")
    try:
        for url in (cluster.seeds("ann:s3cret"), cluster.url.replace("://", "://ann:s3cret@")):
            assert shards_of(url) == expected(cluster)
        with pytest.raises(GuideError) as caught:
            open_registry(cluster.seeds("ann:wrong"))
        assert caught.value.why is Why.REFUSED
        assert isinstance(caught.value.named(), ServerAuthenticationError)
        assert "wrong" not in str(caught.value)
    finally:
        for node in cluster.nodes:
            with node.client(password="other") as client:
                client.execute_command("ACL", "SETUSER", "default", "nopass")


def test_hosts_that_nobody_knows(cluster):
    why, said = refused("redis+cluster://nowhere.invalid:7000" + QUICKLY)
    assert why is Why.NO_ANSWER
    assert "nowhere.invalid:7000" in said
    unknown_first = f"redis+cluster://nowhere.invalid:7000,{cluster.nodes[0].address}"
    assert shards_of(unknown_first) == expected(cluster)


def test_nobody_answers():
    why, said = refused(f"redis+cluster://{DEAD}" + QUICKLY)
    assert why is Why.NO_ANSWER
    assert "host and port" in said


def test_what_each_node_says_is_said_once_if_it_is_the_same():
    why, said = refused("redis+cluster://127.0.0.1:1,127.0.0.1:2/?shard=luasprocs-1&socket_connect_timeout=1")
    assert why is Why.NO_ANSWER
    assert "shard=" not in said
    assert said.endswith("(Connection refused)")
    said = refused("redis+cluster://127.0.0.1:1,nowhere.invalid:7000" + QUICKLY)[1]
    assert "127.0.0.1:1: Connection refused" in said
    assert "nowhere.invalid:7000: " in said
    assert "Errno" not in said


def test_a_single_server_is_no_cluster(server):
    why, said = refused(server.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    assert why is Why.NO_GUIDE
    assert "redis://" in said
    alone = open_registry(server.url)
    assert (alone.shards, alone.home, alone.keys.tag) == ((alone,), alone, "")


def test_a_node_of_a_cluster_has_no_other_db(cluster):
    url = cluster.url.removesuffix("/0") + "/3"
    with pytest.raises(ServerError, match="no db"), errors_named(url):
        open_registry(url)


def test_without_tls_a_cluster_is_asked_without(cluster):
    why, said = refused(cluster.seeds_url.replace("redis", "rediss") + QUICKLY)
    assert why is Why.NO_ANSWER
    assert "without TLS it is redis+cluster://" in said


@pytest.mark.parametrize("wrong", ["/3", "/shop", "?shard=", "?sentinel_username=x"])
def test_a_url_that_can_not_be_used(wrong):
    with pytest.raises(SettingsError):
        open_registry("redis+cluster://127.0.0.1:7000" + wrong)


def test_a_cluster_that_is_down_names_the_primaries_that_fail_and_since_when():
    node = "07c3 127.0.0.1:30004@31004,host-1 {flags} - 0 {heard} 4 {link} {slots}"
    up = node.format(flags="myself,master", heard=0, link="connected", slots="0-5460")
    failing = node.format(flags="master,fail", heard=1790000000500, link="disconnected", slots="5461-9 9000 [7->-a]")
    empty = node.format(flags="master,fail", heard=1, link="disconnected", slots="").rstrip()
    said = why_down("\n".join((up, failing, empty)))
    assert said == ("127.0.0.1:30004, the primary of 5461-9 9000 [7->-a], has not answered since 2026-09-21T14:13:20Z")
    assert why_down(up) == ASK


def test_a_cluster_that_lacks_slots_is_down(cluster):
    node = cluster.nodes[2]
    node.ask("CLUSTER", "DELSLOTS", 16383)
    try:
        for url in (node.url, f"redis+cluster://{node.address}"):
            why, said = refused(url)
            assert why is Why.DOWN
            assert "redis-cli --cluster check" in said
    finally:
        node.ask("CLUSTER", "ADDSLOTS", 16383)
        cluster.until_whole()


def test_what_a_node_refuses_while_its_cluster_changes_has_a_name(cluster):
    """By redis-py's class: it leaves out the code."""
    there, gone = "{moves}:1", "{moves}:2"
    source = cluster.at(there)
    target = next(node for node in cluster.nodes if node is not source)
    source.ask("SET", there, "1")
    cluster.begin_move(slot_of(there.encode()), source, target)
    try:
        with source.client() as client, pytest.raises(ServerMovedError), errors_named(source.url):
            client.set(gone, "1")  # ASK
        with source.client() as client, pytest.raises(ServerMovedError), errors_named(source.url):
            client.mget(there, gone)  # TRYAGAIN
        with target.client() as client, pytest.raises(ServerMovedError), errors_named(target.url):
            client.set(there, "1")  # MOVED
    finally:
        cluster.end_move(slot_of(there.encode()), source, target)
        cluster.move_slot(slot_of(there.encode()), target, source)
    source.ask("CLUSTER", "DELSLOTS", slot_of(there.encode()))
    try:
        until(lambda: source.state()["cluster_state"] == "fail")
        with source.client() as client, pytest.raises(ServerError) as down, errors_named(source.url):
            client.get(there)  # CLUSTERDOWN
        assert type(down.value) is ServerError, "nothing was done: the outcome is not unknown"
    finally:
        source.ask("CLUSTER", "ADDSLOTS", slot_of(there.encode()))
        cluster.until_whole()
