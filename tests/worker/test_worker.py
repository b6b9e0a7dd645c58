"""A worker process: what a job gets, and how its end is told."""

from __future__ import annotations

import re

from tests.paths import ROOT


def test_a_job_runs(bench):
    done = bench.run(
        "return {KEYS[1], ARGV[1], sproc.name, sproc.trigger, sproc.id, sproc.attempt, redis.call('SET', 'x', 1).ok}",
        ("k",),
        ("a",),
    )
    assert (done.status, done.error) == ("ok", "")
    assert done.reply == '["k","a","s.lua","enqueue","job-1",1,"OK"]'
    assert bench.client.get("x") == b"1"


def test_the_first_system_s_file_sproc_runs(bench, folder):
    """sc4.lua, as it is."""
    generation = bench.live(sc4=(ROOT / "sprocs" / "sc4.lua").read_bytes())
    done = bench.worker.run("sc4.lua", ("file:1",), ("hello",), generation=generation)
    assert (done.status, done.error) == ("ok", "")
    assert done.reply == "13"
    assert (folder / "sc4.txt").read_text() == "file:1\thello\n"


def test_the_examples_of_the_docs_run(bench, folder):
    text = (ROOT / "docs" / "sprocs.md").read_text(encoding="utf-8")
    orders, once = re.findall(r"```lua\n(.*?)```", text.partition("## Async sprocs")[2], re.DOTALL)
    generation = bench.live(orders=orders, once=once)
    done = bench.worker.run("orders.lua", ("order:1",), ("2 apples", "set", "string"), generation=generation)
    assert (done.status, done.reply) == ("ok", "1")
    assert [path.read_text() for path in folder.iterdir()] == ["order:1\t2 apples\n"]
    assert bench.worker.run("once.lua", generation=generation, attempt=2).reply == "done in try 2"


def test_a_seed_of_one_job_is_not_the_next_one_s(bench):
    """Nor of one that has a Lua of its own, as it is the process that draws."""
    generation = bench.live(
        seed="-- runasync=yes\nmath.randomseed(42) return math.random(2^30)",
        draw="-- runasync=yes\nreturn math.random(2^30)",
        apart="-- runasync=yes\nreturn loadstring('return math.random(2^30)')()",
    )
    runs = [
        [bench.worker.run(f"{name}.lua", generation=generation) for name in ("seed", "draw", "seed", "apart")]
        for _ in range(4)
    ]
    assert {done.status for some in runs for done in some} == {"ok"}
    assert len({some[place].reply for some in runs for place in (0, 2)}) == 1
    assert len({some[place].reply for some in runs for place in (1, 3)}) == 8
