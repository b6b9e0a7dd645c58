"""What lasts is logged once."""

from __future__ import annotations

import logging

from luasprocs.runtime.log_once import LogOnce


def test_a_text_is_logged_once_until_it_changes(caplog):
    said = LogOnce()
    for text in ("a", "a", "b", "b", "a"):
        said.say("topic", text)
    assert caplog.messages == ["a", "b", "a"]


def test_topics_do_not_disturb_each_other(caplog):
    said = LogOnce()
    for _ in range(3):
        said.say("one", "a")
        said.say("two", "b", logging.ERROR)
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "a"), ("ERROR", "b")]


def test_what_was_over_is_logged_when_it_comes_again(caplog):
    said = LogOnce()
    said.say("topic", "100 %s")
    said.forget("topic")
    said.forget("never said")
    said.say("topic", "100 %s")
    assert caplog.messages == ["100 %s"] * 2
