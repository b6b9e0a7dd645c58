"""When a daemon applies, and when it waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync.reconcile.decision import Facts, decide

OLD, NEW = "a" * 40, "b" * 40
BASE = Facts(wanted=NEW, live=OLD)

TABLE = [
    ("nothing is live", replace(BASE, live=""), "applying"),
    ("the same commit: drift, if anything", replace(BASE, live=NEW), "applying"),
    ("a newer commit", replace(BASE, ahead=True), "applying"),
    ("an older one", replace(BASE, behind=True), "behind"),
    ("an older one that the branch was just set back to", replace(BASE, behind=True, moved=True), "behind"),
    ("live is nowhere here", replace(BASE, known=False), "unknown"),
    ("live is nowhere here and the branch moved", replace(BASE, known=False, moved=True), "unknown"),
    ("history was rewritten just now", replace(BASE, moved=True), "applying"),
    ("somebody else's branch is live", BASE, "diverged"),
    ("rolled back from this commit", replace(BASE, pinned=NEW, ahead=True, moved=True, before_pin=True), "pinned"),
    ("rolled back from a newer one", replace(BASE, pinned="c" * 40, ahead=True), "pinned"),
    ("a commit after the one rolled back", replace(BASE, pinned="c" * 40, ahead=True, after_pin=True), "applying"),
    (
        "an amended commit in place of the one rolled back",
        replace(BASE, pinned="c" * 40, off_pin=True, ahead=True),
        "applying",
    ),
    ("the same, after a restart", replace(BASE, pinned="c" * 40), "pinned"),
    ("suspended", replace(BASE, ahead=True, suspended="by ann"), "suspended"),
    ("the work tree over a commit", Facts("worktree", OLD, worktree=True), "applying"),
    ("a commit over the work tree", Facts(NEW, "worktree", known=False), "applying"),
    ("the work tree, suspended", Facts("worktree", OLD, worktree=True, suspended="by ann"), "suspended"),
]


@pytest.mark.parametrize(("facts", "state"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_decisions(facts: Facts, state: str) -> None:
    decision = decide(facts)
    assert decision.state == state
    assert decision.apply == (state == "applying")
    assert bool(decision.reason) != decision.apply
