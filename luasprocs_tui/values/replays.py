"""What a replay shows: how it ended then, how it ends now, and what it wrote. Pure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from luasprocs_tui.values.numbers import short_us
from luasprocs_tui.values.safe import clean

if TYPE_CHECKING:
    from luasprocs.operations.replay import Replayed
    from luasprocs.state.executions import Execution


class Compared(NamedTuple):
    """A replay with the source of now, with that of then where it was another, and with that of a draft.

    `seeded`: the keys that it began with.
    """

    now: Replayed
    then: Replayed | None = None
    seeded: tuple[str, ...] = ()
    draft: Replayed | None = None


def shown(record: Execution, found: Compared, width: int) -> Text:
    """All of it, in the order in which one asks; how it ended in lines of `width` cells."""
    seeded = ", ".join(found.seeded)
    where = f"on a throw-away server, with {seeded} as it is now" if seeded else "on a throw-away, empty server"
    args = "" if found.now.has_args else "; without ARGV, which records don't keep"
    parts = [_ended("recorded", record.status, record.said, record.duration_us, width), Text(f"\n{where}{args}", "dim")]
    if found.then is not None:
        parts += [Text(), _of("source of then", found.then, width)]
    parts += [Text(), _of("source of now" if found.then else "the same source", found.now, width)]
    if found.draft is not None:
        parts += [Text(), _of("your draft", found.draft, width), Text("    a makes it live", "dim")]
    return Text("\n").join(parts)


def _of(name: str, one: Replayed, width: int) -> Text:
    lines = [_ended(name, one.status, one.said, one.duration_us, width)]
    lines += [
        Text.assemble(
            (f"    {'wrote' if wrote.after else 'deleted'} ", "dim"),
            clean(wrote.key, 100),
            ("  " + clean(wrote.before, 200), "red") if wrote.before else "",
            ("  → ", "dim") if wrote.before and wrote.after else "  ",
            (clean(wrote.after, 400), "green"),
        )
        for wrote in one.wrote
    ]
    if not one.wrote:
        lines.append(Text("    wrote nothing", "dim"))
    return Text("\n").join(lines)


def _ended(name: str, status: str, said: str, took_us: int, width: int) -> Text:
    tone = "bold green" if status == "ok" else "bold red"
    sign = " " if status == "ok" else "●"
    head = Text.assemble((f"{name:<16}", "bold"), (f"{sign} {status:<8}", tone), f"{short_us(took_us or None):>6}  ")
    lines = wrap(clean(said, 1000), max(20, width - head.cell_len))
    return head.append(f"\n{'':{head.cell_len}}".join(lines))
