from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from luasprocs.language.tokens import named, tokens

PIECES = (
    *(
        "redis",
        "call",
        "function",
        "redis_2",
        "x",
        "KEYS",
        "é",
        "\n",
        "\r\n",
        " ",
        ".",
        ":",
        "..",
        "=",
        "(",
        ")",
        "-",
        "[",
        "]",
    ),
    *(
        "'redis'",
        '"redis"',
        "'re\\dis'",
        "'\\\nredis'",
        '"a\'redis"',
        "'redis",
        "[[redis]]",
        "[==[\nredis]=]]==]",
        "[=[redis",
    ),
    *("--redis\n", "--[[redis]]", "--[==[ redis ]] ]==]", "-- 'redis\n", "--[=[redis", "1", "0x1F", "3.5e-2"),
)


@given(st.lists(st.sampled_from(PIECES)))
def test_some_tokens_are_found_as_among_all(pieces):
    text = " ".join(pieces)
    names = {"redis", "function", "KEYS"}
    assert named(text, names) == [one for one in tokens(text) if one.value in names]
