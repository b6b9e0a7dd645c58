from __future__ import annotations

import shlex

import pytest
import redis

from luasprocs.contract.keys import Keys
from luasprocs.errors import SettingsError
from luasprocs.server.acl import ROLES, escaped, registry_pattern, rule, setuser

NAMESPACES = ["", "shop", "{shop}", "a.b-c_d"]


def user_of(server, role, keys, **options):
    """A client of a new user that has the role."""
    server.client().execute_command("ACL", "SETUSER", role, *rule(role, keys, **options), ">pw")
    return server.client(username=role, password="pw", client_name="luasprocs")


def refused(client, *command):
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


@pytest.fixture(params=NAMESPACES)
def keys(request):
    return Keys(request.param)


@pytest.fixture
def filled(server, keys):
    """A server with a little registry, a key beside it, and a function that does what the engine does."""
    admin = server.client()
    admin.hset(keys.name("x.lua"), "source", "return 1")
    admin.hset(keys.revision, "generation", 1)
    admin.rpush(keys.list, "x.lua")
    admin.set("app:1", "mine")
    admin.set("other", "not yours")
    admin.execute_command(
        "FUNCTION", "LOAD", ENGINE % (keys.name("x.lua"), keys.revision, keys.markers, keys.stats("x.lua"))
    )
    return server


ENGINE = """#!lua name=t
redis.register_function('t', function(keys)
  redis.call('HMGET', '%s', 'source')
  redis.call('HGET', '%s', 'generation')
  redis.call('PUBLISH', '%s', 'begin')
  redis.call('HINCRBY', '%s', 'calls', 1)
  return redis.call('GET', keys[1])
end)"""


@pytest.mark.parametrize("role", ROLES)
def test_each_rule_is_taken_by_the_server_as_printed(server, keys, role):
    printed = setuser(f"luasprocs-{role}", rule(role, keys), "s3cret pass")
    assert "s3cret" not in printed
    assert server.cli(*shlex.split(printed)) == "OK\n"
    assert f"luasprocs-{role}".encode() in server.client().execute_command("ACL", "USERS")
    assert server.client(username=f"luasprocs-{role}", password="s3cret pass").ping()


@pytest.mark.parametrize("role", ROLES)
def test_without_a_password_nobody_can_log_in(server, role):
    assert server.cli(*shlex.split(setuser("ann", rule(role, Keys())))) == "OK\n"
    for password in ("PASSWORD", "", "ann"):
        with pytest.raises(redis.exceptions.AuthenticationError):
            server.client().execute_command("AUTH", "ann", password)


def test_a_daemon_has_config_only_if_it_may(server):
    admin = server.client()
    client = user_of(server, "daemon", Keys())
    client.execute_command("CONFIG", "SET", "requirepass", "")  # as security.md says
    without = user_of(server, "daemon", Keys(), config=False)
    for command in (("CONFIG", "SET", "notify-keyspace-events", "KA"), ("CONFIG", "GET", "requirepass")):
        refused(without, *command)
    assert admin.ping()


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_wipe_rule_or_take_over_the_server(filled, keys, role):
    client = user_of(filled, role, keys)
    for command in (
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("SWAPDB", 0, 1),
        ("SHUTDOWN", "NOSAVE"),
        ("FUNCTION", "FLUSH"),
        ("FUNCTION", "DELETE", "t"),
        ("FUNCTION", "RESTORE", "x"),
        ("ACL", "LIST"),
        ("ACL", "SETUSER", role, "+@all"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("DEBUG", "SLEEP", 0),
        ("REPLICAOF", "NO", "ONE"),
        ("MIGRATE", "h", 1, "k", 0, 1),
        ("SAVE",),
        ("MONITOR",),
    ):
        refused(client, *command)


def test_a_caller_calls_and_the_engine_does_its_part(filled, keys):
    client = user_of(filled, "caller", keys)
    assert client.execute_command("FCALL", "t", 1, "app:1") == b"mine"
    assert filled.client().hget(keys.stats("x.lua"), "calls") == b"1"
    assert client.execute_command("SET", "app:2", "new")


def test_a_caller_touches_neither_other_keys_nor_the_registry(filled, keys):
    client = user_of(filled, "caller", keys)
    refused(client, "FCALL", "t", 1, "other")
    refused(client, "GET", "other")
    refused(client, "HSET", keys.name("x.lua"), "source", "return 2")
    refused(client, "DEL", keys.name("x.lua"))
    refused(client, "HGETALL", keys.name("x.lua"))
    refused(client, "DEL", keys.stats("x.lua"))
    refused(client, "LRANGE", keys.list, 0, -1)
    refused(client, "PUBLISH", keys.generations, "9")
    refused(client, "PUBLISH", "__keyspace@0__:app:1", "set")
    refused(client, "FUNCTION", "LOAD", "REPLACE", "#!lua name=t\n")
    refused(client, "EVAL", "return 1", 0)
    refused(client, "CONFIG", "GET", "*")


def test_a_caller_neither_hears_nor_reads_what_proves_the_engine_s_messages(filled, keys):
    """Markers and ticks carry the secret; to publish on them without it is of no use, and only a call's markers are published."""
    admin, client = filled.client(), user_of(filled, "caller", keys)
    admin.hset(keys.events, "proof", "secret")
    for channel in (keys.markers, keys.ticks):
        refused(client, "SUBSCRIBE", channel)
        refused(client, "PSUBSCRIBE", escaped(channel))
    refused(client, "PSUBSCRIBE", "*")
    for command in (("HGET", keys.events, "proof"), ("HMGET", keys.events, "proof"), ("HGETALL", keys.events)):
        refused(client, *command)
    refused(client, "PUBLISH", keys.ticks, "1 1 1 1 1")
    assert client.publish(keys.markers, "end") == 0


def test_a_caller_gets_the_keys_and_commands_asked_for_and_no_more(filled, keys):
    client = user_of(filled, "caller", keys, own_keys=["other", "cart:*"], own_commands=["get", "SORT"])
    assert client.execute_command("GET", "other")
    assert client.execute_command("SORT", "cart:1") == []
    refused(client, "SET", "other", "x")
    refused(client, "GET", "app:1")


def test_a_deployer_writes_its_registry_and_nothing_else(filled, keys):
    client = user_of(filled, "deployer", keys)
    with client.pipeline(transaction=True) as pipe:
        pipe.watch(keys.revision)
        pipe.multi()
        pipe.delete(keys.name("x.lua"))
        pipe.hset(keys.name("y.lua"), "source", "return 2")
        pipe.hdel(keys.digests, "x.lua")
        pipe.rpush(keys.list, "y.lua")
        pipe.xadd(keys.history, {"commit": "c"})
        pipe.zadd(keys.replaced, {"blob": 1})
        pipe.zrem(keys.replaced, "blob")
        pipe.execute_command(
            "FUNCTION", "LOAD", "REPLACE", "#!lua name=t\nredis.register_function('t', function() end)"
        )
        pipe.publish(keys.generations, 1)
        assert len(pipe.execute()) == 9
    for function in (client.hgetall, client.type):
        assert function(keys.name("y.lua"))
    assert client.xrevrange(keys.history)
    assert client.zrangebyscore(keys.replaced, "-inf", 1) == []
    assert client.info()["run_id"]
    assert client.publish(keys.markers, "end") == 0, "calls of a sproc that is bound to events publish"
    refused(client, "GET", "app:1")
    refused(client, "SET", "app:1", "x")
    refused(client, "CONFIG", "GET", "requirepass")
    refused(client, "CONFIG", "SET", "maxmemory", "1")
    refused(client, "PUBLISH", "news", "x")
    refused(client, "SUBSCRIBE", "news")


def test_a_viewer_reads_the_registry_and_nothing_else(filled, keys):
    client = user_of(filled, "viewer", keys)
    assert client.lrange(keys.list, 0, -1) == [b"x.lua"]
    assert client.hgetall(keys.name("x.lua")) == {b"source": b"return 1"}
    assert client.xrevrange(keys.executions) == []
    assert client.info()["run_id"]
    for command in (
        ("HSET", keys.name("x.lua"), "source", "x"),
        ("DEL", keys.list),
        ("FCALL", "t", 1, "app:1"),
        ("GET", "app:1"),
        ("PUBLISH", keys.markers, "begin"),
        ("FUNCTION", "LOAD", "#!lua name=u\n"),
        ("CONFIG", "GET", "*"),
    ):
        refused(client, *command)


def test_a_daemon_listens_runs_sprocs_and_sets_notifications(filled, keys):
    client = user_of(filled, "daemon", keys)
    client.execute_command("CONFIG", "SET", "notify-keyspace-events", "KA")
    with client.pubsub() as listener:
        listener.psubscribe("__keyspace@0__:dream*")
        listener.subscribe(keys.markers)
        assert listener.get_message(timeout=30)["type"] == "psubscribe"
        assert listener.get_message(timeout=30)["type"] == "subscribe"
    assert client.execute_command("FCALL", "t", 1, "other") == b"not yours"
    client.set("any key", "value")
    client.xgroup_create(keys.executions, "g", mkstream=True)
    assert client.xreadgroup("g", "c", {keys.executions: ">"}) == []


def test_a_rule_covers_no_other_namespace(server):
    shop = user_of(server, "deployer", Keys("shop"))
    for other in (Keys(""), Keys("shop2"), Keys("{shop}"), Keys("a:shop")):
        refused(shop, "HSET", other.revision, "commit", "x")
        refused(shop, "PUBLISH", other.markers, "end")
    bare = user_of(server, "viewer", Keys(""))
    refused(bare, "HGETALL", Keys("shop").revision)


def test_globs_in_the_names_are_literal(server):
    client = user_of(server, "deployer", Keys(""))
    refused(client, "SET", "__anything_Sproc_List_x__", "x")
    assert escaped("a*b?[c]\\") == r"a\*b\?\[c\]\\"
    assert registry_pattern(Keys("{s}")) == r"{s}:__\*_Sproc_*"


def test_a_new_rule_replaces_the_old_one(filled):
    keys = Keys("")
    user_of(filled, "daemon", keys)
    filled.client().execute_command("ACL", "SETUSER", "daemon", *rule("viewer", keys), ">pw")
    refused(filled.client(username="daemon", password="pw"), "SET", "any key", "x")


@pytest.mark.parametrize("word", ["", "a b", "x)", "(+@all", "a\nb", "\x1b", "a\tb"])
def test_what_would_break_out_of_a_rule_is_refused(word):
    for keys, commands in (([word], ["get"]), (["app:*"], [word])):
        with pytest.raises(SettingsError, match="can't stand in an ACL rule"):
            rule("caller", Keys(), own_keys=keys, own_commands=commands)
    if word:
        with pytest.raises(SettingsError, match="ACL user's name"):
            setuser(word, rule("caller", Keys()))


def test_an_unknown_role_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="daemon, deployer, caller, viewer"):
        rule("boss", Keys())
