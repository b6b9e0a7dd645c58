"""How another registry is, in a line. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.contract.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs_tui.values.snapshots import Snapshot


_SCHEME = re.compile(r"[a-z+]+://")


@dataclass(frozen=True, slots=True)
class ContextFacts:
    """`state`: its worst finding; `failing` and `daemons`: counts, "" where nobody knows."""

    state: str
    failing: str = ""
    daemons: str = ""
    tone: str = "ok"


NOT_YET = ContextFacts("…", tone="off")


def facts_of(snapshot: Snapshot) -> ContextFacts:
    worst = snapshot.findings[0] if snapshot.findings else None
    state = "empty" if snapshot.empty else worst.code.replace("_", " ") if worst else "in sync"
    failing = sum(len(one.names) for one in snapshot.findings if one.code == FindingCode.FAILING)
    daemons = str(snapshot.pulse.daemons) if snapshot.pulse else ""
    tone = "ok" if worst is None else "bad" if worst.severity == "error" else "warn"
    return ContextFacts(state, str(failing), daemons, tone)


def unread(reason: str) -> ContextFacts:
    return ContextFacts(reason, tone="bad")


def matching(shown: Sequence[tuple[str, str]], typed: str) -> list[tuple[str, str]]:
    """Names and URLs in which all words stand, those first whose name begins so."""
    words = typed.casefold().split()
    texts = [f"{name} {_SCHEME.sub('', url)}".casefold() for name, url in shown]
    found = [one for one, text in zip(shown, texts, strict=True) if all(word in text for word in words)]
    return sorted(found, key=lambda one: not one[0].casefold().startswith(typed.casefold().strip()))
