from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import EditConflictError, NoSprocError, OwnerError, ProblemsError, RegistryError
from luasprocs.operations.edit import create, edit, edit_metadata, last_change, undo
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.edits import ABSENT, edits_of, parse_edit
from luasprocs.registry.history import read_history
from luasprocs.registry.live import read_live
from tests.live import put, sproc

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry

FIRST = b"-- description=one\n-- owner=ann\nreturn 1\n"


@pytest.fixture
def live(registry: Registry) -> Registry:
    put(registry.client, sproc("a.lua", FIRST), sproc("b.lua", "return 2"))
    return registry


def test_an_edit_is_live_at_once_and_remembered(live: Registry) -> None:
    before = live_sproc(live, "a.lua")
    revision = edit(live, "a.lua", b"return 3\n", base=before.blob, by="Ann <ann@host>")
    after = live_sproc(live, "a.lua")
    assert revision is not None
    assert (after.source, revision.generation) == (b"return 3\n", 2)
    stored = parse_edit(after.edit)
    assert stored is not None
    assert (stored.by, stored.base) == ("Ann <ann@host>", before.blob)
    assert [one.name for one in edits_of(read_live(live))] == ["a.lua"]
    newest = read_history(live, 1)[0]
    assert (newest.action, newest.author, newest.subject) == ("edit", "Ann <ann@host>", "edit a.lua")


def test_keys_of_the_header_change_and_the_rest_stays(live: Registry) -> None:
    base = live_sproc(live, "a.lua").blob
    edit_metadata(live, "a.lua", {"description": "two", "owner": None, "tags": "x"}, base=base, by="ann")
    sproc = live_sproc(live, "a.lua")
    assert sproc.values == {"description": "two", "tags": "x"}
    assert sproc.source.endswith(b"return 1\n")


def test_what_changes_nothing_is_no_edit(live: Registry) -> None:
    base = live_sproc(live, "a.lua").blob
    assert edit(live, "a.lua", FIRST, base=base, by="ann") is None
    assert edit_metadata(live, "a.lua", {"owner": "ann", "tags": None}, base=base, by="ann") is None
    with pytest.raises(ProblemsError, match="did you mean 'owner'"):
        edit_metadata(live, "a.lua", {"ownr": None}, base=base, by="ann")
    found = read_live(live)
    assert (edits_of(found), found.revision.generation) == ((), 1)


def test_undo_brings_back_what_git_has(live: Registry) -> None:
    for source in (b"return 3\n", b"return 4\n"):
        edit(live, "a.lua", source, base=live_sproc(live, "a.lua").blob, by="ann")
    undo(live, "a.lua", by="ben")
    assert live_sproc(live, "a.lua").source == FIRST
    assert edits_of(read_live(live)) == ()
    with pytest.raises(RegistryError, match="no live edit to undo"):
        undo(live, "a.lua", by="ben")


def test_a_new_sproc_is_an_edit_of_nothing_and_its_undo_takes_it_away(live: Registry) -> None:
    create(live, "new/c.lua", b"return 3\n", by="ann", check=ours)
    assert [(one.name, one.edit.base) for one in edits_of(read_live(live))] == [("new/c.lua", ABSENT)]
    edit(live, "new/c.lua", b"return 4\n", base=live_sproc(live, "new/c.lua").blob, by="ann")
    with pytest.raises(EditConflictError) as caught:
        create(live, "new/c.lua", b"return 5\n", by="ben", check=ours)
    assert caught.value.theirs == b"return 4\n"
    undo(live, "new/c.lua", by="ben")
    assert [*read_live(live).sprocs] == ["a.lua", "b.lua"]


def test_a_new_sproc_needs_a_registry_of_ours(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="luasprocs sync"):
        create(registry, "c.lua", b"return 3\n", by="ann", check=ours)

    def theirs(_: Live) -> None:
        raise OwnerError("it is another's")

    put(registry.client, sproc("a.lua", FIRST))
    with pytest.raises(OwnerError):
        create(registry, "c.lua", b"return 3\n", by="ann", check=theirs)
    assert [*read_live(registry).sprocs] == ["a.lua"]


def ours(_: Live) -> None:
    """The check of an owner."""


def test_the_last_change_is_what_no_live_edit_covers(live: Registry) -> None:
    with pytest.raises(RegistryError, match="no change to undo"):
        last_change(live, "a.lua")
    put(live.client, sproc("a.lua", "return 5"), sproc("b.lua", "return 2"))
    put(live.client, sproc("a.lua", "return 5"), sproc("b.lua", "return 6"))
    found = last_change(live, "a.lua")
    assert found is not None
    assert (found.source, found.generation.generation, found.sproc.source) == (FIRST, 2, b"return 5")
    edit(live, "a.lua", b"return 7", base=found.sproc.blob, by="ann")
    assert last_change(live, "a.lua") is None
    live.client.delete(live.keys.blobs)
    with pytest.raises(RegistryError, match="no longer kept"):
        last_change(live, "b.lua")


def test_who_edits_what_was_changed_meanwhile_gets_the_other_source(live: Registry) -> None:
    base = live_sproc(live, "a.lua").blob
    edit(live, "a.lua", b"return 3\n", base=base, by="ben")
    with pytest.raises(EditConflictError) as caught:
        edit(live, "a.lua", b"return 4\n", base=base, by="ann")
    assert caught.value.theirs == b"return 3\n"
    with pytest.raises(EditConflictError):
        edit_metadata(live, "a.lua", {"tags": "x"}, base=base, by="ann")
    assert live_sproc(live, "a.lua").source == b"return 3\n"


def test_what_is_broken_or_gone_changes_nothing(live: Registry) -> None:
    base = live_sproc(live, "a.lua").blob
    for source in (b"return (\n", b"-- evnt=set\n-- runasync=perhaps\nreturn 1\n"):
        with pytest.raises(ProblemsError):
            edit(live, "a.lua", source, base=base, by="ann")
    with pytest.raises(NoSprocError, match=r"no sproc named 'nope\.lua' is live"):
        edit(live, "nope.lua", b"return 1", base=base, by="ann")
    with pytest.raises(NoSprocError):
        undo(live, "nope.lua", by="ann")
    assert live_sproc(live, "a.lua").blob == base


def test_what_was_changed_by_hand_does_not_come_into_git_by_an_edit(live: Registry) -> None:
    base = live_sproc(live, "a.lua").blob
    live.client.hset(live.keys.name("a.lua"), "source", b"return 'by hand'\n")
    for edited in (
        lambda: edit_metadata(live, "a.lua", {"tags": "x"}, base=base, by="ann"),
        lambda: edit(live, "a.lua", b"return 5\n", base=base, by="ann"),
    ):
        with pytest.raises(RegistryError, match="was changed by hand"):
            edited()
    assert edits_of(read_live(live)) == ()
    live.client.hset(live.keys.name("a.lua"), "source", FIRST)
    edit(live, "a.lua", b"return 5\n", base=base, by="ann")
    live.client.hset(live.keys.name("a.lua"), "source", b"return 'by hand'\n")
    undo(live, "a.lua", by="ann")
    assert live_sproc(live, "a.lua").source == FIRST
