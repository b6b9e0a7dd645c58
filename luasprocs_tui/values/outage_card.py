"""What is said when a daemon or the server comes back: how long it was dark, what was missed, what to press. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import FindingCode
from luasprocs.language.values import some_of
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.outages import outages_of

if TYPE_CHECKING:
    from luasprocs_tui.values.outages import Outage
    from luasprocs_tui.values.snapshots import Snapshot, State

SHOWN_MS = 120_000
"""What was dark and when it came back stays so long, unless somebody takes it away."""
_SLACK_MS = 10_000
"""A daemon is called gone some seconds after its last heartbeat."""
_DARK = {FindingCode.NO_DAEMON: "no daemon lived", FindingCode.UNREACHABLE: "the server took no writes"}


class Card(NamedTuple):
    """Of one outage that is over. `since_ms`, `until_ms`: the server's clock; `what`: who was away."""

    since_ms: float
    until_ms: float
    what: str


class Watch:
    """Looks at one state after the other, for what was dark and is not any more."""

    def __init__(self) -> None:
        self._since_ms = self._lit_ms = 0.0
        self._what = ""
        self._card: Card | None = None

    def look(self, state: State, now_ms: float) -> Card | None:
        """The card to show now."""
        if what := _dark(state):
            self._since_ms, self._what, self._card = (
                self._since_ms or self._began_ms(state) or now_ms,
                self._what or what,
                None,
            )
        elif self._since_ms and state.snapshot is not None:
            self._card = Card(self._since_ms, now_ms, self._what)
            self._since_ms, self._what = 0.0, ""
        if not what and state.snapshot is not None:
            self._lit_ms = now_ms
        if self._card is not None and now_ms - self._card.until_ms > SHOWN_MS:
            self._card = None
        return self._card

    def _began_ms(self, state: State) -> float:
        """As a finding says, unless it was seen not to be dark after that: daemons that stop in order leave no trace,
        so the finding may be dated by one that died long before.
        """
        found = state.snapshot.findings if state.snapshot and not state.error else ()
        began = next((one.since_ms for one in found if one.code in _DARK), 0)
        return began if began >= self._lit_ms - _SLACK_MS else self._lit_ms

    def close(self) -> bool:
        """Shows it no more. Whether there was one."""
        had, self._card = self._card is not None, None
        return had


def _dark(state: State) -> str:
    if state.error:
        return "the server was away" if state.snapshot is not None else ""
    found = state.snapshot.findings if state.snapshot else ()
    return next((said for one in found if (said := _DARK.get(one.code, ""))), "")


def text_of(card: Card, snapshot: Snapshot) -> str:
    """The card in one or two sentences, from what is known by now of what it cost."""
    cost = [one for one in outages_of(snapshot) if one.to_ms >= card.since_ms - _SLACK_MS]
    sources = len({source for one in cost if not one.repeat for source in one.sources})
    missed = len({name for one in cost for name in one.missed})
    lost = [
        f"events of {sources} source{'s' * (sources != 1)} were not seen ({_length(cost)})" if sources else "",
        f"{missed} schedule{'s' * (missed != 1)} missed times" if missed else "",
    ]
    said = " and ".join(filter(None, lost)) or "no event and no scheduled time is known to be lost"
    caught = sorted({name for one in cost if not one.repeat for name in one.caught})
    scanned = f"{some_of(caught)} {'catches' if len(caught) == 1 else 'catch'} up by itself, and " if caught else ""
    rest = f"{scanned}U lists it" if sources or missed else ""
    dark = f"Back: {card.what} for {age(max(0.0, card.until_ms - card.since_ms) / 1000)}."
    return " ".join(filter(None, (dark, f"{said[0].upper()}{said[1:]}{'; ' + rest if rest else ''}.", "(esc)")))


def _length(cost: list[Outage]) -> str:
    return age(max((one.to_ms - one.from_ms for one in cost if one.sources), default=0) / 1000)
