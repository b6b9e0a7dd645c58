from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.operations.contexts import Context
from luasprocs_tui.app import TuiApp
from luasprocs_tui.values.source_lines import lines_of
from tests.live import put, sproc
from tests.tui.pilot import FORBIDDEN, listed, screen_of, until

if TYPE_CHECKING:
    from tests.servers import Server


def test_a_source_keeps_its_line_numbers_whatever_it_holds():
    for source, count in (
        (b"", 1),
        (b"\n\nreturn 1", 3),
        (b"a\r\nb\r\n", 2),
        (b"[[\n\n]]\n\n", 4),
        (b"\x0b\x0c\xff\n", 1),
    ):
        assert len(lines_of(source)) == count, source
    assert all(not FORBIDDEN & set(line.plain) for line in lines_of(bytes(range(256)) * 3))
    assert lines_of(b"x" * 10**6)[0].cell_len == 2000


def app(url: str) -> TuiApp:
    return TuiApp(Context("", url), refresh_s=0.2, poll_s=0.1)


async def test_a_source_of_ten_thousand_lines_scrolls(server: Server) -> None:
    lines = [f"local v{number} = {number} -- line {number + 1}" for number in range(150)]
    put(
        server.client(),
        sproc("long.lua", "do " + "\n".join(lines) + "\nend\n" + "-- x\n" * 9_848 + "return 'last'\n"),
    )
    async with app(server.url).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "local v0" in screen_of(pilot), "the first lines")
        await pilot.press("G")
        await until(pilot, lambda: "return 'last'" in screen_of(pilot), "the last line")
        await pilot.press("g", "escape")
        await until(pilot, lambda: "RUN/S" in screen_of(pilot), "the list")
