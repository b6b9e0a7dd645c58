"""A worker process: what a job gets, and how its end is told."""

from __future__ import annotations


def test_a_job_runs(bench):
    done = bench.run(
        "return {KEYS[1], ARGV[1], sproc.name, sproc.trigger, sproc.id, sproc.attempt, redis.call('SET', 'x', 1).ok}",
        ("k",),
        ("a",),
    )
    assert (done.status, done.error) == ("ok", "")
    assert done.reply == '["k","a","s.lua","enqueue","job-1",1,"OK"]'
    assert bench.client.get("x") == b"1"
