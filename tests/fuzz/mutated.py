"""What somebody might send or write: anything at all, and what should be there with something wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECES = (
    *(b"", b"\0", b"\xff", b"\xc3", b"\n", b"\r\n", b"\r", b" ", b"\t", b"'", b'"', b"\\", b"[", b"]", b"{", b"}", b"=", b","),
    *(b"-", b"0", b"-1", b"1.5", b"1e400", b"nan", b"inf", b"0x10", b"9" * 15, b"9" * 30, b"9" * 5000, b"null", b"true", b"#"),
    *(b"\x1b[2J", b"\x9b31m", "\u200b\u202e\u3164\ud800".encode("utf-8", "surrogatepass"), "ünï😀".encode(), b"[" * 3000, b"{}"),
    *(b"yes", b"no", b"-- ", b"*", b"@", b"1-1", b"\\ud800", b"paused", b"x" * 600),
)  # fmt: skip
ANYTHING = (
    st.binary(max_size=80) | st.sampled_from(PIECES) | st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join)
)


def mutated(samples: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the samples with some stretches of it left out, doubled, or put in another's place; now and then anything."""

    @st.composite
    def one(draw: st.DrawFn) -> bytes:
        found = draw(st.sampled_from(samples))
        for _ in range(draw(st.integers(0, 3))):
            first, last = sorted((draw(st.integers(0, len(found))), draw(st.integers(0, len(found)))))
            piece = draw(st.sampled_from((*PIECES, found[first:last] * 2)))
            found = found[:first] + piece + found[draw(st.sampled_from((first, last))) :]
        return found

    return one() | ANYTHING
