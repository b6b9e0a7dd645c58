"""No-op jobs by arq and by rq; run by bench/jobs.py in an environment of their own: `rivals.py arq|rq PORT fill COUNT | work`.

Imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any


async def noop(*_: Any) -> None:
    """Of arq."""


def nothing() -> None:
    """Of rq."""


def fill_arq(port: int, count: int) -> None:
    from arq import create_pool
    from arq.connections import RedisSettings

    async def fill() -> None:
        pool = await create_pool(RedisSettings(port=port))
        for start in range(0, count, 100):
            await asyncio.gather(*(pool.enqueue_job("noop") for _ in range(start, min(count, start + 100))))
        await pool.aclose()

    asyncio.run(fill())


def work_arq(port: int) -> None:
    """Works until it is killed; results aren't kept."""
    from arq.connections import RedisSettings
    from arq.worker import Worker

    worker = Worker([noop], redis_settings=RedisSettings(port=port), keep_result=0, max_jobs=100, poll_delay=0.05)
    worker.run()


def fill_rq(port: int, count: int) -> None:
    import redis
    import rq

    queue = rq.Queue(connection=redis.Redis(port=port))
    call = f"{__name__ if __name__ != '__main__' else 'rivals'}.nothing"
    for start in range(0, count, 500):
        jobs = [rq.Queue.prepare_data(call, result_ttl=0) for _ in range(start, min(count, start + 500))]
        queue.enqueue_many(jobs)


def work_rq(port: int) -> None:
    """Works until it is killed, without a fork for each job, which is rq's fastest way."""
    import redis
    import rq

    rq.SimpleWorker(["default"], connection=redis.Redis(port=port)).work(logging_level="ERROR")


if __name__ == "__main__":
    rival, port, action, *rest = sys.argv[1:]
    if action == "fill":
        {"arq": fill_arq, "rq": fill_rq}[rival](int(port), int(rest[0]))
    else:
        {"arq": work_arq, "rq": work_rq}[rival](int(port))
