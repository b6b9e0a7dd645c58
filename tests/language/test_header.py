"""The header: what is read, where problems are said to be, and writing back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luasprocs.errors import ProblemsError
from luasprocs.language import header
from luasprocs.language.analysis import analyse
from luasprocs.language.places import Lines, Range


def problems(source: bytes) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        header.parse(source, "a.lua")
    return [str(problem) for problem in raised.value.problems]


def values(source: bytes) -> dict[str, str]:
    return header.parse(source, "a.lua")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"", {}),
        (b"return 1", {}),
        (
            b"-- Copies what was dreamt.\n-- event=set\n-- key=dream*\nreturn 1",
            {"event": "set", "key": "dream*"},
        ),
        (b"--event=set\r\n\r\n  --   @key\tdream*  \r\nreturn 1", {"event": "set", "key": "dream*"}),
        (b"--[[\n  Prose.\n  event=set\n]]\n-- key=a*\nx=1", {"event": "set", "key": "a*"}),
        (b"--[==[ event=set ]==] return 1", {"event": "set"}),
        (b"--[==[ description=a ]] b\n]==]", {"description": "a ]] b"}),
        (b"-- event=set\nx=1\n-- key=a*", {"event": "set"}),
        (b"local x --[[ event=get ]]", {}),
        (b"-- event=set\r-- key=a*\rreturn 1", {"event": "set", "key": "a*"}),
        (b"-- a == b\n-- two words = 3\n-- run-async=yes\n-- =x\n--- enabled=no", {"enabled": "no"}),
        (b"-- x_what ever=1\n-- x_own=a = b ", {"x_own": "a = b"}),
        (b"-- timeout = 30s\n-- timeout= 30s\n-- args=key, ttl\n-- n = 5 of them\n-- KEYS[1]=x", {}),
        (
            b"-- @timeout 30s\n--- @param key\n---@return x\n-- @owner =a\n-- @event=set",
            {"timeout": "30s", "owner": "=a"},
        ),
        (b"-- see @timeout 30s\n-- mail ann@owner.org", {}),
        (b"--[[\n  @event set\n  @x_own\n]]", {"event": "set", "x_own": ""}),
        (
            b"#!lua flags=no-writes,allow-stale,no-cluster\n-- owner=ann\nreturn 1",
            {"readonly": "yes", "stale": "allow", "owner": "ann"},
        ),
        (b"#!lua flags=allow-cross-slot-keys", {"crossslot": "allow"}),
        (b"#!lua flags=allow-oom", {"oom": "allow"}),
        (b"#!lua\nreturn 1", {}),
        ("-- description=träumt 💤".encode(), {"description": "träumt 💤"}),
    ],
)
def test_the_leading_comments_and_nothing_below_are_the_header(source, expected):
    assert values(source) == expected


def test_a_field_knows_its_line_and_column():
    text = "-- ä\r\n\r\n--[[ @event  set\n\tkey=a*\n]]"
    assert header.fields_of(text, Lines(text)) == (
        header.HeaderField("event", "set", Range(3, 7, 3, 12), Range(3, 14, 3, 17)),
        header.HeaderField("key", "a*", Range(4, 2, 4, 5), Range(4, 6, 4, 8)),
    )


def test_all_problems_of_a_file_are_told_at_once_and_in_their_places():
    source = b"-- evnt=set\n-- event=get\n-- event=set\n--[[ enabled=maybe\n cron=* * * *\n]]\n-- library=yes\nx="
    told = problems(source)
    assert [problem.split(" ")[0] for problem in told] == [
        "a.lua:1:4:",
        "a.lua:2:4:",
        "a.lua:2:10:",
        "a.lua:3:4:",
        "a.lua:4:14:",
        "a.lua:5:2:",
        "a.lua:5:7:",
    ]
    assert "did you mean 'event'" in told[0]
    assert "library=yes" in told[1]
    assert "unknown event 'get'" in told[2]
    assert "line 2" in told[3]
    assert "expected yes or no" in told[4]
    assert "it has 4 fields" in told[6]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("timeout = 30s", "not the key timeout: write `-- timeout=30s` if"),
        ("timeout= 30s", "write `-- timeout=30s`"),
        ("owner = =a", "write `-- @owner =a`"),
        ("tiemout = 30s", "not the key timeout: write `-- timeout=30s`"),
        ("args = key, ttl", "not the key tags: write"),
        ("args=key, ttl", "not the key tags: write"),
        ("func=take", "not the key function: write `-- function=take`"),
        ("desc = what it does", "not the key description: write `-- description=what it does`"),
        ("allow-oom=yes", "not the key oom: write `-- oom=allow`"),
        ("timeout: 30s", "not the key timeout: write `-- timeout=30s`"),
        ("tz=Europe/Berlin", "not the key timezone: write `-- timezone=Europe/Berlin`"),
        ("async=yes", "not the key runasync: write `-- runasync=yes`"),
        ("schedule = 0 3 * * *", "not the key cron: write `-- cron=0 3 * * *`"),
        ("@timeout: 30s", "not the key timeout: write `-- timeout=30s`"),
        ("Event: set", "not the key event: write `-- event=set`"),
        ("no-writes", "not the key readonly: write `-- readonly=yes`"),
    ],
)
def test_what_only_looks_like_a_key_is_prose_and_a_warning(line, told):
    found = analyse(f"-- {line}\nreturn 1", "a.lua")
    (problem,) = found.problems
    assert (problem.kind, problem.code) == ("warning", "header.lookalike")
    assert str(problem).startswith(f"a.lua:1:{4 + line.startswith('@')}: ")
    assert told in problem.message
    assert found.sound
    assert found.values == {}


@pytest.mark.parametrize(
    "line",
    [
        "n = 5",
        "x=1",
        "a == b",
        "KEYS[1] = the lock",
        "usage: event = set",
        "@param key",
        "see owner=ann",
        "no-writes here",
        "key: the lock",
        "event: what happened",
        "owner: billing",
        "timeout: see below",
    ],
)
def test_prose_is_prose(line):
    assert analyse(f"-- {line}\nreturn 1").problems == ()


@pytest.mark.parametrize(
    ("first", "place", "word"),
    [
        ("#!lua flags=no-write", "a.lua:1:13:", "unknown flag 'no-write'; did you mean 'no-writes'?"),
        ("#!lua flags=allow-stale,x", "a.lua:1:25:", "unknown flag 'x'"),
        ("#!lua name=lib", "a.lua:1:7:", "function=NAME"),
        ("#!lua name=lib", "a.lua:1:7:", "a file with `-- library=yes`, for require"),
        ("#!js", "a.lua:1:1:", "another language"),
        ("#!lua flag=no-writes", "a.lua:1:7:", "unknown option"),
        ("#!lua flags=no-writes\n-- readonly=no", "a.lua:2:4:", "already on line 1"),
    ],
)
def test_what_is_wrong_with_a_first_line_is_told_in_its_place(first, place, word):
    (told,) = problems(f"{first}\nreturn 1".encode())
    assert told.startswith(place)
    assert word in told


@pytest.mark.parametrize(
    ("source", "place", "word"),
    [
        (b"\xef\xbb\xbf-- event=set", "a.lua:1:1:", "BOM"),
        ("-- event=set".encode("utf-16"), "a.lua:1:1:", "UTF-16"),
        ("-- event=set".encode("utf-16-be"), "a.lua:1:1:", "NUL"),
        (b"-- a\r\nx = '\xc3\xa4\xff'", "a.lua:2:7:", "0xff is not UTF-8"),
        (b"x\ny\0", "a.lua:2:2:", "NUL"),
        (b"-- description=a\x1bb", "a.lua:1:16:", "control character"),
    ],
)
def test_what_is_no_clean_utf8_is_a_named_problem(source, place, word):
    (told,) = problems(source)
    assert told.startswith(place)
    assert word in told


@pytest.mark.parametrize(
    ("source", "changes", "expected"),
    [
        (b"return 1", {"event": "set"}, b"-- event=set\nreturn 1"),
        (b"return 1\r\n", {"event": "set", "key": "a"}, b"-- event=set\r\n-- key=a\r\nreturn 1\r\n"),
        (b"", {"event": "set"}, b"-- event=set\n"),
        (b"-- @event  \tset \r\nx", {"event": "hset"}, b"-- @event  \thset \r\nx"),
        (
            b"  ---  @event  set\r\n-- Prose.\r\nx",
            {"key": "a"},
            b"  ---  @event  set\r\n  ---  @key a\r\n-- Prose.\r\nx",
        ),
        (b"-- event=set", {"key": "a"}, b"-- event=set\n-- key=a"),
        (b"--[[\n  event=set\n]]\nx", {"key": "a"}, b"--[[\n  event=set\n  key=a\n]]\nx"),
        (b"--[[ event=set ]] x=1", {"x_a": "b"}, b"--[[ event=set\n x_a=b ]] x=1"),
        (b"--[[ event=set ]] x=1", {"event": None}, b"--[[  ]] x=1"),
        (b"-- A.\n-- event=set\n-- B.\n", {"event": None}, b"-- A.\n-- B.\n"),
        (b"-- A.\n-- event=set", {"event": None}, b"-- A.\n"),
        (b"-- event=set\n-- key=a\n", {"event": None, "key": None, "cron": "@daily"}, b"-- cron=@daily\n"),
        (b"-- enabled=no\n", {"enabled": "no", "owner": None}, b"-- enabled=no\n"),
        (b"-- description=\nx", {"description": " new "}, b"-- description=new\nx"),
        (b"-- evnt=set\nx", {"evnt": None}, b"x"),
        (b"-- owner=a\n", {"owner": "=b", "x_c": "=d"}, b"-- @owner =b\n-- @x_c =d\n"),
        (b"--[[ event=set \n]]", {"key": "a"}, b"--[[ event=set \n key=a\n]]"),
        (b"-- @owner\nx", {"owner": "b"}, b"-- @owner b\nx"),
        (b"-- @owner a\nx", {"owner": None}, b"x"),
        (b"--[[ @owner a ]] x=1", {"owner": None}, b"--[[  ]] x=1"),
        (b"-- event = set\nx", {"event": "del"}, b"-- event=del\n-- event = set\nx"),
        (b"#!lua flags=no-writes\nx", {"readonly": "no"}, b"#!lua\n-- readonly=no\nx"),
        (
            b"#!lua flags=no-writes,allow-stale\n-- owner=a\n",
            {"readonly": None},
            b"#!lua flags=allow-stale\n-- owner=a\n",
        ),
        (b"#!lua flags=no-writes\n-- owner=a\n", {"owner": "b"}, b"#!lua flags=no-writes\n-- owner=b\n"),
    ],
)
def test_write_changes_only_the_lines_it_must(source, changes, expected):
    assert header.write(source, changes) == expected


@pytest.mark.parametrize(
    ("source", "changes", "word"),
    [
        (b"--[[ event=set ]]", {"description": "a ]] b"}, "end its block comment"),
        (b"-- event=set", {"description": "a\nb"}, "control character"),
        (b"-- event=set", {"description": "a\udcffb"}, "control character"),
        (b"-- event=set", {"event": "get"}, "unknown event 'get'"),
        (b"-- event=set", {"evnt": "set"}, "did you mean 'event'"),
        (b"-- event=set\n-- key=a", {"event": None}, "key needs event"),
        (b"-- event=set\n-- event=del", {"event": "hset"}, "is already on line 1"),
        (b"\xff\xfe-", {"event": "set"}, "UTF-16"),
    ],
)
def test_write_refuses_what_would_not_be_read_again(source, changes, word):
    with pytest.raises(ProblemsError, match=word):
        header.write(source, changes, "a.lua")


BLANKS = st.text(" \t", max_size=3)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "description": TEXT.map(lambda text: text.strip(" \t\v\f")),
        "event": st.sampled_from(["set", "hset, del", "*"]),
        "enabled": st.sampled_from(["yes", "No"]),
        "timeout": st.sampled_from(["5s", "1m30s"]),
        "x_own": TEXT.map(lambda text: text.strip(" \t\v\f")),
    },
)


@st.composite
def sources(draw):
    """Sources with a header in all the ways it may be written, and with code below."""
    end = draw(LINE_ENDS)
    text = draw(st.sampled_from(["", "-- Prose, as == it comes." + end, end, "--[[ A block. ]]" + end]))
    block = draw(st.sampled_from([None, "", "=="]))
    lines = [
        draw(BLANKS) + draw(st.sampled_from([f"{key}={value}", f"@{key} \t{value}", f"{key} = {value}"])) + draw(BLANKS)
        for key, value in draw(VALUES).items()
        if block is None or "]" not in value
    ]
    if block is None:
        text += "".join(draw(BLANKS) + draw(st.sampled_from(["--", "-- ", "---"])) + line + end for line in lines)
    else:
        text += f"--[{block}[" + draw(st.sampled_from(["", end])) + end.join(lines) + draw(st.sampled_from(["", end]))
        text += f"]{block}]" + draw(st.sampled_from(["", end]))
    return (text + draw(st.sampled_from(["", "return 1", f"local x{end}-- event=get{end}"]))).encode()


@given(st.binary() | st.text("-[]= \n\r\tevntkysx_\ufeff\0'").map(str.encode))
@example(b"--[[")
@example(b"--[=[ event=set ]]")
def test_parse_raises_nothing_but_problems_on_any_bytes(source):
    try:
        found = header.parse(source, "a.lua")
    except ProblemsError as error:
        assert error.problems
        assert all(problem.line >= 1 and problem.column >= 1 for problem in error.problems)
    else:
        assert header.write(source, found) == source


@given(sources() | st.text("-[]= \n\r\tevntkysx_'").map(str.encode))
@example(b"-- event=set\r-- key=a")
@example(b"---[[ event=set\n--[=x\n-- key=a\n--[==[\nvalue=no]==]")
def test_the_fast_way_reads_what_parse_reads(source):
    try:
        expected = header.parse(source, "a.lua")
    except ProblemsError as error:
        with pytest.raises(ProblemsError) as raised:
            header.values_of(source, "a.lua")
        assert raised.value.problems == error.problems
    else:
        assert header.values_of(source, "a.lua") == expected


@given(
    st.binary() | st.text("-[]= \n\revntky").map(str.encode),
    st.dictionaries(TEXT, TEXT | st.none(), max_size=2),
)
def test_write_raises_nothing_but_problems_on_anything(source, changes):
    try:
        header.write(source, changes)
    except ProblemsError as error:
        assert error.problems


@given(sources())
def test_writing_what_a_header_says_already_changes_nothing(source):
    assert header.write(source, values(source)) == source


@given(sources(), VALUES, st.data())
def test_what_was_written_is_read_back_and_all_else_stays(source, wanted, data):
    before = values(source)
    removed = data.draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    changes = {**dict.fromkeys(removed), **wanted}
    after = {**{key: value for key, value in before.items() if key not in removed}, **wanted}
    try:
        written = header.write(source, changes)
    except ProblemsError as error:
        assert "]" in "".join(wanted.values()), error  # only a block comment's end can't be written
        return
    assert values(written) == after
    # Every line without a changed key or a block's end is there as before, in the same order; and the code is.
    gone = [key.encode() for key in changes] + [b"]]", b"]==]"]
    kept = [line.rstrip(b"\r\n") for line in source.splitlines() if not any(word in line for word in gone)]
    left = (line.rstrip(b"\r\n") for line in written.splitlines())
    assert all(line in left for line in kept)
    assert written.endswith(b"return 1") == source.endswith(b"return 1")


@given(sources(), VALUES)
def test_setting_a_key_back_restores_every_byte(source, wanted):
    before = values(source)
    changes = {key: value for key, value in wanted.items() if key in before and value.strip("=") == value != ""}
    try:
        written = header.write(source, changes)
    except ProblemsError:
        return
    assert header.write(written, {key: before[key] for key in changes}) == source


def test_a_large_file_is_read_in_no_time():
    for hostile in (
        b"-- " + b"[" * 1_000_000,
        b"--[[" + b"]" * 1_000_000,
        b" " * 1_000_000,
        b"--\n" * 300_000,
    ):
        assert values(hostile) == {}


def test_a_flag_that_says_it_already_stays():
    source = b"#!lua flags=no-writes\n-- @timeout 30s\nreturn 1"
    assert header.write(source, {"readonly": "yes", "timeout": "30s"}) == source
    assert header.write(source, {"readonly": "no"}).startswith(b"#!lua\n")
