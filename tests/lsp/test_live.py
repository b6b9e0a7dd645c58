"""What an editor sees and changes of a real registry, by a real `luasprocs lsp`."""

from __future__ import annotations

import json

import pytest

from luasprocs.server.connection import connect
from tests.gitrepo import GitRepo
from tests.lsp.conftest import own
from tests.lsp.raw import RefusedError
from tests.until import until


def test_what_is_published_is_live_and_a_live_edit(shop, ann):
    ann.open("own1.lua")
    assert ann.own("publish", uri=ann.uri("own1.lua"))["generation"] is None
    text = own(1) + "-- published\n"
    ann.change("own1.lua", text)
    found = ann.own("publish", uri=ann.uri("own1.lua"))
    assert found["published"]
    shown = json.loads(shop.cli("show", "own1.lua", "--json"))
    assert (shown["source"], shown["blob"]) == (text, found["blob"])
    edited = [json.loads(line) for line in shop.cli("list", "--json").splitlines()]
    assert [one["edited"] for one in edited if one["name"] == "own1.lua"] == [True]
    ann.change("own1.lua", f"{text}-- again\n")
    assert ann.own("publish", uri=ann.uri("own1.lua"))["published"]


def test_a_colleagues_edit_is_not_overwritten_until_it_was_seen(ann, colleague):
    one, other = ann, colleague().connected()
    for editor in (one, other):
        editor.open("own2.lua")
    theirs, ours = own(2) + "-- theirs\n", own(2) + "-- ours\n"
    other.change("own2.lua", theirs)
    assert other.own("publish", uri=other.uri("own2.lua"))["published"]
    one.change("own2.lua", ours)
    refused = one.own("publish", uri=one.uri("own2.lua"))
    conflict = refused["conflict"]
    assert refused["published"] is False
    assert (conflict["base"], conflict["live"], conflict["yours"]) == (own(2), theirs, ours)
    assert one.own("live", name="own2.lua")["source"] == theirs
    merged = own(2) + "-- theirs\n-- ours\n"
    one.change("own2.lua", merged, 3)
    assert one.own("publish", uri=one.uri("own2.lua"), force={"blob": "0" * 40})["published"] is False
    assert one.own("publish", uri=one.uri("own2.lua"), force={"blob": conflict["blob"]})["published"]
    assert one.own("live", name="own2.lua")["source"] == merged
    other.change("own2.lua", f"{theirs}-- more\n", 3)
    assert other.own("publish", uri=other.uri("own2.lua"))["published"] is False


def test_what_was_committed_when_a_file_was_opened_may_be_replaced(shop, ann):
    unpublished = own(3) + "-- saved, and not committed\n"
    shop.repo.write("sprocs/own3.lua", unpublished)
    ann.open("own3.lua")
    ann.change("own3.lua", f"{unpublished}-- more\n")
    assert ann.own("publish", uri=ann.uri("own3.lua"))["published"]


def test_line_ends_of_windows_are_gits_business(shop, ann):
    shop.repo.write(".gitattributes", "*.lua text\n")
    text = (own(4) + "-- more\n").replace("\n", "\r\n")
    ann.open("own4.lua", own(4).replace("\n", "\r\n"))
    until(lambda: "differs from live" not in ann.lenses("own4.lua"))
    ann.change("own4.lua", text)
    assert ann.own("publish", uri=ann.uri("own4.lua"))["published"]
    assert ann.own("live", name="own4.lua")["source"] == text.replace("\r\n", "\n")


def test_a_broken_source_is_not_published_and_says_where(ann):
    ann.open("own5.lua")
    ann.change("own5.lua", "-- descripton=a\nreturn (\n")
    with pytest.raises(RefusedError) as refused:
        ann.own("publish", uri=ann.uri("own5.lua"))
    assert refused.value.code == "problems"
    assert [(one["line"], one["code"]) for one in refused.value.data["problems"]] == [
        (1, "header.unknown-key"),
        (3, "lua.syntax"),
    ]
    ann.change("own5.lua", "local =\n", 3)
    with pytest.raises(RefusedError) as refused:
        ann.own("publish", uri=ann.uri("own5.lua"))
    (found,) = refused.value.data["problems"]
    assert (found["line"], found["column"], found["end_column"], found["code"]) == (1, 7, 8, "lua.syntax")
    assert ann.own("live", name="own5.lua")["source"] == own(5)


def test_a_new_sproc_is_published_unless_a_colleague_has_one_of_that_name(shop, ann, colleague):
    ann.open("new.lua", "return 'ann'\n")
    assert ann.own("publish", uri=ann.uri("new.lua"))["published"]
    other = colleague().connected()
    other.open("new.lua", "return 'other'\n")
    conflict = other.own("publish", uri=other.uri("new.lua"))["conflict"]
    assert (conflict["base"], conflict["live"], conflict["yours"]) == ("", "return 'ann'\n", "return 'other'\n")
    shop.repo.write("sprocs/told_later.lua", "return 1\n")
    assert ann.own("publish", uri=ann.uri("told_later.lua"))["published"]
    shop.cli("edit", "--undo", "told_later.lua")
    ann.change("new.lua", "return 'again'\n")
    assert ann.own("publish", uri=ann.uri("new.lua"))["published"]
    shop.cli("edit", "--undo", "new.lua")
    assert "new.lua" not in shop.cli("list")


def test_what_is_gone_or_not_ours_is_not_published(shop, ann):
    shop.repo.write("sprocs/gone.lua", "return 1\n")
    shop.repo.commit("not live yet")
    ann.open("gone.lua")
    for uri, code in ((ann.uri("gone.lua"), "no_sproc"), ("file:///elsewhere/a.lua", "not_a_sproc")):
        with pytest.raises(RefusedError) as refused:
            ann.own("publish", uri=uri)
        assert refused.value.code == code
    shop.repo.write("sprocs/own5.lua", own(5).encode() + b"-- \xff\n")
    ann.open("own5.lua")
    with pytest.raises(RefusedError) as refused:
        ann.own("publish", uri=ann.uri("own5.lua"))
    assert refused.value.code == "refused"
    shop.repo.write("sprocs/own5.lua", own(5))


def test_lenses_tell_how_it_is_and_are_asked_for_again(ann):
    ann.open("own6.lua")
    ann.open("lib/money.lua")
    until(lambda: ann.lenses("own6.lua")[:2] == ["Run", "Debug"])
    assert [one.partition(":")[0] for one in ann.lenses("lib/money.lua")] == ["live", "History"]
    since = len(ann.came)
    for _ in range(3):
        ann.own("run", name="own6.lua", keys=["six"])
    with pytest.raises(RefusedError) as refused:
        ann.own("run", name="own6.lua")
    assert refused.value.code == "script"
    ann.wait(lambda one: one.get("method") == "workspace/codeLens/refresh", since=since)
    until(lambda: any("4 calls, p99 " in one and "1 error" in one for one in ann.lenses("own6.lua")))
    ann.change("own6.lua", own(6) + "-- other\n")
    assert "differs from live" in ann.lenses("own6.lua")
    ann.state(lambda state: any(one["names"] == ["own6.lua"] for one in state["findings"] if one["code"] == "failing"))
    found = ann.own("list")["sprocs"]
    assert (found[0]["name"], found[0]["trouble"].partition(":")[0]) == ("own6.lua", "failing")


def test_a_glob_has_the_keys_that_it_matches_beside_it(shop, ann):
    with connect(shop.server.url) as client:
        client.mset({f"counted:{number}": 1 for number in range(1204)})
    since = len(ann.came)
    ann.open("glob.lua", "-- event=set\n-- key=counted:*\nreturn 1\n")
    ann.hints("glob.lua")
    ann.wait(lambda one: one.get("method") == "workspace/inlayHint/refresh", since=since)
    (found,) = ann.hints("glob.lua")
    assert (found["label"], found["position"]) == ("  1,204 keys", {"line": 1, "character": len("-- key=counted:*")})


def test_metadata_is_changed_where_nobody_else_has(shop, ann):
    form = ann.own("metadata", name="own7.lua")
    fields = {one["key"]: one for one in form["fields"]}
    assert (fields["description"]["value"], fields["record"]["values"]) == ("own 7", ["all", "errors", "none"])
    shop.cli("edit", "own7.lua", "--set", "owner=bob")
    changes = {"description": "seven", "x_team": "shop"}
    refused = ann.own("setMetadata", name="own7.lua", changes=changes, blob=form["blob"])
    assert refused["conflict"]["live"].startswith("-- description=own 7\n-- owner=bob\n")
    done = ann.own("setMetadata", name="own7.lua", changes=changes, blob=refused["conflict"]["blob"])
    assert done["source"].startswith("-- description=seven\n-- owner=bob\n-- x_team=shop\n")


def test_a_rollback_is_shown_before_it_is_made(shop, ann):
    shop.cli("edit", "own8.lua", "--set", "description=eight")
    before, after = own(8), own(8).replace("own 8", "eight")
    generation = ann.own("history", name="own8.lua")["generations"][0]["generation"]
    shown = ann.own("rollback", name="own8.lua", generation=generation - 1, dry_run=True)
    assert (shown["source"], shown["live"], shown["generation"]) == (before, after, generation)
    assert ann.own("live", name="own8.lua")["source"] == after
    done = ann.own("rollback", name="own8.lua", generation=generation - 1)
    assert done["generation"] == generation + 1
    assert ann.own("live", name="own8.lua")["source"] == before
    with pytest.raises(RefusedError) as refused:
        ann.own("rollback", name="none.lua", generation=generation, dry_run=True)
    assert refused.value.code == "no_sproc"


def test_in_production_a_change_needs_the_sprocs_name(shop, colleague, tmp_path):
    settings = tmp_path / "screen.toml"
    url = f"redis://localhost:{shop.server.port}"  # the same server in other words
    settings.write_text(f'[contexts.main]\nredis = "{url}"\nproduction = true\n')
    editor = colleague(LUASPROCS_SCREEN=str(settings)).connected()
    state = editor.own("state")
    assert (state["context"], state["production"], state["read_only"]) == ("main", True, False)
    editor.open("own9.lua")
    asked = {
        "run": {"name": "own9.lua", "keys": ["nine"]},
        "publish": {"uri": editor.uri("own9.lua")},
        "rollback": {"name": "own9.lua", "generation": 1},
        "setMetadata": {"name": "own9.lua", "changes": {"owner": "ann"}, "blob": ""},
        "pause": {"name": "own9.lua", "paused": True},
    }
    for method, params in asked.items():
        for confirm in ({}, {"confirm": "own8.lua"}):
            with pytest.raises(RefusedError) as refused:
                editor.own(method, **params, **confirm)
            assert refused.value.code == "confirm", method
    assert editor.own("run", **asked["run"], confirm="own9.lua")["reply"] == 1
    assert editor.own("pause", **asked["pause"], confirm="own9.lua") == {"paused": True, "changed": True}
    assert editor.own("pause", name="own9.lua", paused=False, confirm="own9.lua") == {"paused": False, "changed": True}


def test_a_read_only_context_changes_nothing(shop, colleague, tmp_path):
    settings = tmp_path / "screen.toml"
    settings.write_text(f'[contexts.seen]\nredis = "{shop.server.url}"\nread_only = true\n')
    editor = colleague(
        "--context=seen", LUASPROCS_SCREEN=str(settings), LUASPROCS_REDIS="redis://127.0.0.1:1"
    ).connected()
    assert editor.own("state")["context"] == "seen"
    with pytest.raises(RefusedError) as refused:
        editor.own("run", name="own9.lua", keys=["nine"])
    assert refused.value.code == "read_only"
    assert editor.own("list")["sprocs"]


def test_two_editors_and_a_daemon(shop, ann, colleague):
    one, other = ann, colleague().connected()
    one.open("buy.lua")
    text = (shop.repo.path / "sprocs" / "buy.lua").read_text() + "-- by an editor\n"
    one.change("buy.lua", text)
    since = len(other.came)
    assert one.own("publish", uri=one.uri("buy.lua"))["published"]
    other.wait(lambda message: message.get("method") == "luasprocs/sprocsChanged", since=since)
    head = shop.repo.git("rev-parse", "HEAD")
    with shop.daemon():
        until(lambda: shop.repo.git("rev-parse", "HEAD") != head)
        assert "by an editor" in shop.repo.git("show", "HEAD:sprocs/buy.lua")
        until(lambda: not any(found["edited"] for found in other.own("list")["sprocs"] if found["name"] == "buy.lua"))
    other.open("buy.lua", text)
    other.change("buy.lua", f"{text}-- by the other\n")
    assert other.own("publish", uri=other.uri("buy.lua"))["published"]


def test_typing_asks_redis_nothing(shop, ann):
    ann.open("own0.lua")
    with connect(shop.server.url) as client:
        before = client.info("commandstats")["cmdstat_info"]["calls"]
        for number in range(100):
            ann.change("own0.lua", own(0) + "-- x" * number, number + 2)
            ann.lenses("own0.lua")
        looks = client.info("commandstats")["cmdstat_info"]["calls"] - before
    assert looks < 10  # one a second, and one for the buffer that was opened


def test_settings_that_lead_elsewhere_are_followed(shop, ann):
    settings = shop.repo.path / "luasprocs.toml"
    before = settings.read_text()
    changed = {"changes": [{"uri": settings.as_uri(), "type": 2}]}
    try:
        settings.write_text('owner = "shop"\nnamespace = "eu"\n')
        ann.notify("workspace/didChangeWatchedFiles", changed)
        ann.state(lambda state: state["namespace"] == "eu")
        assert ann.own("list") == {"sprocs": []}
    finally:
        settings.write_text(before)
        since = len(ann.came)
        ann.notify("workspace/didChangeWatchedFiles", changed)
        ann.state(lambda state: state["namespace"] == "", since)
    assert ann.own("live", name="own0.lua")["source"] == own(0)


def test_commands_are_those_of_the_server(server, colleague):
    """The packaged table has those of Valkey 9.1, some of which Redis 7.0 has not."""
    names = [name.decode().upper() for name in server.client().execute_command("COMMAND LIST")]
    editor = colleague(LUASPROCS_REDIS=server.url)
    editor.open("own0.lua", "return redis.call('")
    asked = {"textDocument": {"uri": editor.uri("own0.lua")}, "position": {"line": 0, "character": 19}}

    def offered():
        return {one["label"] for one in editor.request("textDocument/completion", asked)}

    until(lambda: offered() <= {*names})
    assert offered() >= {"GET", "HSET"}
    assert "MULTI" not in offered()
    word = {**asked, "position": {"line": 0, "character": 21}}
    editor.change("own0.lua", "return redis.call('GET')")
    assert "GET key" in editor.request("textDocument/hover", word)["contents"]["value"]


def test_a_folder_that_is_open_before_init_has_live_data_behind_it(colleague, tmp_path):
    repo = GitRepo(tmp_path / "bare")
    editor = colleague(top=repo.path)
    assert not editor.own("state")["redis"]
    repo.write("luasprocs.toml", "")
    made = {"uri": (repo.path / "luasprocs.toml").as_uri(), "type": 1}
    editor.notify("workspace/didChangeWatchedFiles", {"changes": [made]})
    editor.connected()
    assert editor.own("live", name="own0.lua")["source"] == own(0)
