"""Requests that anybody who may write the control stream sends to a living daemon: it answers those after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.server.registry import Registry
from luasprocs.state import requests as control
from tests.fuzz.mutated import ANYTHING, mutated
from tests.gitrepo import GitRepo
from tests.soak import SOAK, examples
from tests.sync.service.service import KEYS, Service, live, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
DEADLINE, GENERATION = b"DEADLINE", b"GENERATION"
"""What stands for the right ones, which change."""
ARGUMENTS = [
    *(b"{}", b'{"generation": "1"}', b'{"generation": 1, "why": "x"}', b'{"revision": "HEAD^"}', b'{"generation": "-1"}'),
    *(b'{"generation": "1.5"}', b'{"generation": "' + b"9" * 5000 + b'"}', b'{"generation": null}', b"[1]"),
    b'{"why": "\\ud800"}',
]  # fmt: skip
FIELDS = {
    b"request": st.sampled_from([b"sync", b"rollback", b"fetch"]),
    b"by": mutated([b"ann@host"]),
    b"deadline": st.just(DEADLINE) | st.just(DEADLINE) | mutated([b"1700000000000"]),
    b"generation": st.just(GENERATION) | st.just(GENERATION) | mutated([b"1"]),
    b"arguments": st.sampled_from(ARGUMENTS) | mutated(ARGUMENTS),
    b"answer": mutated([b"1700000000000-0"]),
}
LIKELY = st.fixed_dictionaries({name: FIELDS[name] for name in list(FIELDS)[:5]})
FORGED = st.dictionaries(st.sampled_from([*FIELDS]) | ANYTHING, mutated([b"sync", b"1", b"{}"]), min_size=1, max_size=6)
SPOILED = (
    *(("SET", KEYS.control, "text"), ("DEL", KEYS.control), ("XTRIM", KEYS.control, "MAXLEN", 0)),
    ("XGROUP", "DESTROY", KEYS.control, control.GROUP),
)
SENT = st.lists(LIKELY | LIKELY | LIKELY | FORGED | st.sampled_from(SPOILED), max_size=12)


def test_any_request(server: Server, tmp_path: Path) -> None:
    client, repo = server.client(), GitRepo(tmp_path / "shop")
    registry = Registry(client, KEYS)

    def filled(value: bytes) -> bytes:
        now_ms, generation = control.now_and_generation(registry)
        return {DEADLINE: b"%d" % (now_ms + 60_000), GENERATION: b"%d" % generation}.get(value, value)

    repo.write("sprocs/a.lua", "return 0\n")
    repo.commit()

    with Service(server.url, repo.path, environ={"LUASPROCS_INTERVAL": "1h"}) as daemon:
        for number in range(3):
            repo.write("sprocs/a.lua", f"return {number}\n")
            live(client, repo.commit())

        @examples(25)
        @given(sent=SENT)
        def each(sent: list[Any]) -> None:
            pipe: Any = client.pipeline(transaction=False)
            for one in sent:
                if isinstance(one, dict):
                    pipe.xadd(KEYS.control, {name: filled(value) for name, value in one.items()})
                else:
                    pipe.execute_command(*one)
            pipe.execute(raise_on_error=False)
            if client.type(KEYS.control) == b"string":
                client.delete(KEYS.control)  # nothing can be asked then
            said = control.wait_for_answer(registry, control.request(registry, "fetch", "ann", 30), 30)
            assert said is not None, daemon.output
            assert said.refusal == ""
            assert source_of(client, "a.lua") in {f"return {number}\n" for number in range(3)}
            assert "Traceback" not in daemon.output

        each()
        assert daemon.running
        asked = control.request(registry, "sync", "ann", 30)
        said = control.wait_for_answer(registry, asked, 30)
        assert said is not None
        assert said.ok, said
        assert source_of(client, "a.lua") == "return 2\n"
