"""Gaps and missed times: which of them count, and which can be acknowledged. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.snapshot import DAY_MS
from luasprocs.state.acknowledged import Acknowledged

if TYPE_CHECKING:
    from luasprocs.operations.snapshot import Snapshot
    from luasprocs.state.executions import Gap


def gaps_of(snapshot: Snapshot) -> list[Gap]:
    """The gaps that count."""
    after_ms = unknown_after_ms(snapshot, FindingCode.GAP)
    return [gap for gap in snapshot.running.gaps if gap.time_ms > after_ms and not gap.kind]


def until_ms(snapshot: Snapshot) -> dict[FindingCode, int]:
    """What whoever has seen this snapshot can acknowledge: up to when, of each code that there is something of."""
    gaps = [gap.time_ms for gap in gaps_of(snapshot)]
    after_ms = unknown_after_ms(snapshot, FindingCode.MISSED)
    missed = [one.at_ms for one in (snapshot.sprocs.missed if snapshot.sprocs else ()) if one.at_ms > after_ms]
    return {code: max(times) for code, times in ((FindingCode.GAP, gaps), (FindingCode.MISSED, missed)) if times}


def unknown_after_ms(snapshot: Snapshot, code: FindingCode) -> int:
    """What is as old as that doesn't count: a day has passed, or somebody knows it."""
    return max(snapshot.now_ms - DAY_MS, snapshot.acknowledged.get(code, Acknowledged()).until_ms)
