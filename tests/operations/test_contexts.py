from __future__ import annotations

import pytest

from luasprocs.errors import SettingsError
from luasprocs.operations.contexts import context_named, context_of, read_contexts

SETTINGS = """
theme = "light"

[contexts.mine]
redis = "redis://127.0.0.1:6379/0"

[contexts.shop]
redis = "redis://127.0.0.1:6379/0"
production = true

[contexts.eu]
redis = "redis://127.0.0.1:6379/0"
namespace = "eu"
read_only = true
"""


@pytest.fixture
def environ(tmp_path):
    file = tmp_path / "screen.toml"
    file.write_text(SETTINGS)
    return {"LUASPROCS_SCREEN": str(file)}


def test_a_registry_is_production_if_one_of_its_contexts_is(environ):
    contexts = read_contexts(environ)
    named = ("redis://127.0.0.1:6379/0", "redis://localhost", "redis://user:secret@127.0.0.2/0?socket_timeout=5")
    addressed = ("redis://0.0.0.0", "redis://0:6379", "redis://[::ffff:127.0.0.1]", "redis://[::]:6379/0")
    for same in (*named, *addressed):
        assert context_of(contexts, same, "").name == "shop"
    eu = context_of(contexts, "redis://127.0.0.1:6379/0", "eu")
    assert (eu.name, eu.production, eu.read_only) == ("eu", False, True)
    other = context_of(contexts, "redis://127.0.0.1:6379/1", "")
    assert (other.name, other.production) == ("", False)


def test_a_context_by_its_name(environ):
    contexts = read_contexts(environ)
    assert context_named(contexts, "eu").namespace == "eu"
    with pytest.raises(SettingsError, match="mine, shop, eu"):
        context_named(contexts, "us")


def test_without_a_file_there_are_none_and_a_broken_one_is_said(tmp_path):
    file = tmp_path / "screen.toml"
    environ = {"LUASPROCS_SCREEN": str(file)}
    assert read_contexts(environ) == {}
    file.write_text("contexts = 1")
    with pytest.raises(SettingsError, match=r"screen.toml: contexts is not a table"):
        read_contexts(environ)
