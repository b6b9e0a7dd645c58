from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.errors import SettingsError
from sync.repository_settings import RepositorySettings, repository_settings


def test_no_file_means_the_defaults():
    assert repository_settings(None) == repository_settings(b"") == RepositorySettings("sprocs", "", "", {}, 50)


def test_every_setting_is_read():
    source = b"""
folder = "lua/sprocs/"
namespace = "{shop}"
owner = "billing team"
keep_generations = 7
[defaults]
timeout = "5s"
readonly = true
retries = 3
x_team = "core"
"""
    assert repository_settings(source) == RepositorySettings(
        "lua/sprocs",
        "{shop}",
        "billing team",
        {"timeout": "5s", "readonly": "yes", "retries": "3", "x_team": "core"},
        7,
    )


@pytest.mark.parametrize("folder", ["", ".", "./", "././"])
def test_the_top_as_folder_has_one_spelling(folder):
    assert repository_settings(f'folder = "{folder}"'.encode()).folder == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('\nfoldr = "x"', "2:1: unknown setting 'foldr'; did you mean 'folder'?"),
        ('redis = "redis://:secret@h"', "1:1: unknown setting 'redis'"),
        ('folder = "../x"', "1:1: folder must be a folder's path below"),
        ('folder = "/x"', "1:1: folder must be"),
        ('folder = "a/.git"', "1:1: folder must be"),
        ('folder = "a\\u0000"', "1:1: folder must be"),
        ("folder = 3", "1:1: folder must be"),
        ('owner = "a"\n  namespace = "a b"', "2:3: namespace 'a b' can't be used"),
        ('owner = "a\\nb"', "1:1: owner must be"),
        ("keep_generations = 0", "1:1: keep_generations must be a whole number from 1"),
        ("keep_generations = true", "1:1: keep_generations must be"),
        ("defaults = 3", "1:1: defaults must be a table"),
        ('[defaults]\n\nevnt = "set"', "3:1: unknown key 'evnt'; did you mean 'event'"),
        ('timeout = "x"\n[defaults]', "1:1: timeout is a metadata key"),
        ('[defaults]\ntimeout = "soon"', "2:1: timeout='soon'; expected a duration"),
        ("[defaults]\nretries = 1.5", "2:1: the value must be a text, a whole number, true or false"),
        ('defaults = { overlap = "x" }', "1:14: overlap='x'; expected skip, queue or allow"),
        ("folder = ", "1:10: invalid TOML"),
        ('folder = "a"\nfolder = "b"', "2:13: invalid TOML"),
        ("x = " + "[" * 5000, "1:1: invalid TOML"),
    ],
)
def test_a_bad_setting_is_told_with_its_place_and_what_is_right(source, said):
    with pytest.raises(SettingsError) as caught:
        repository_settings(source.encode(), "repo/luasprocs.toml")
    assert str(caught.value).startswith(f"repo/luasprocs.toml:{said}")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_told():
    with pytest.raises(SettingsError, match=r"^luasprocs\.toml:2:1: the file is not UTF-8"):
        repository_settings(b'owner = "a"\nfolder = "\xff"')


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_raise_anything_but_the_project_s_own_error(source):
    try:
        repository_settings(source)
    except SettingsError as error:
        assert str(error).startswith("luasprocs.toml:")
