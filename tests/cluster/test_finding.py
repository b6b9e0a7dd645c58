"""From a URL to the shards behind it, and what is said where there are none."""

from __future__ import annotations

import pytest

from luasprocs.errors import ServerAuthenticationError, ServerUnreachableError, SettingsError
from luasprocs.server.connection import errors_named
from luasprocs.server.fleet import open_registry
from luasprocs.server.guide_errors import GuideError, Why
from luasprocs.server.slots import slot_of

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


def test_a_single_server_is_no_cluster(server):
    why, said = refused(server.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    assert why is Why.NO_GUIDE
    assert "redis://" in said
    alone = open_registry(server.url)
    assert (alone.shards, alone.home, alone.keys.tag) == ((alone,), alone, "")


@pytest.mark.parametrize("wrong", ["/3", "/shop", "?shard=", "?sentinel_username=x"])
def test_a_url_that_can_not_be_used(wrong):
    with pytest.raises(SettingsError):
        open_registry("redis+cluster://127.0.0.1:7000" + wrong)


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
