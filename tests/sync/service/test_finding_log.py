"""A finding is news when it begins, when it grows, and when it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from luasprocs.contract.codes import FindingCode as Code
from luasprocs.operations.findings import Finding
from luasprocs.runtime.log import log
from sync.service.finding_log import FindingLog

if TYPE_CHECKING:
    import pytest


def test_what_lasts_is_said_once_and_what_flickers_never(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, log.name)
    heard = FindingLog()
    failing = Finding(Code.FAILING, "a fails", "look", names=("a",))
    both = Finding(Code.FAILING, "a and b fail", "look", names=("a", "b"))
    dead = Finding(Code.DEAD_JOBS, "1 job", "drop")
    looks = (
        *((failing,), (failing, dead), (failing,), (failing, dead)),  # dead jobs come and go
        *((both,), (both,), (failing,)),
        *((), (failing,)),  # it was away for one look
        *((), (), ()),
        *((failing,), (failing,)),
    )
    log.addHandler(caplog.handler)
    for found in looks:
        heard.heard(found)
    log.removeHandler(caplog.handler)
    said = list(dict.fromkeys((id(record), record.levelname, record.getMessage()) for record in caplog.records))
    assert [one[1:] for one in said] == [
        ("ERROR", "finding: failing: a fails (look)"),
        ("ERROR", "finding: failing: a and b fail (look)"),
        ("INFO", "finding ended: failing"),
        ("ERROR", "finding: failing: a fails (look)"),
    ]
