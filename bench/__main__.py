"""Runs every benchmark, or those named: `python -m bench calls events`. Exits 1 when a limit is missed."""

from __future__ import annotations

import os
import sys

from bench import (
    calls,
    cluster,
    cluster_events,
    cron,
    debugger,
    event_latency,
    events,
    gitops,
    hooks,
    jobs,
    language_server,
    screen,
    startup,
    syncing,
)
from bench.pairs import show

SUITES = {
    "startup": startup.results,
    "sync": syncing.results,
    "calls": calls.results,
    "cluster": cluster.results,
    "cluster_events": cluster_events.results,
    "events": events.throughput,
    "unrecorded": events.unrecorded,
    "unwanted": events.unwanted,
    "latency": event_latency.results,
    "cron": cron.results,
    "jobs": jobs.results,
    "gitops": gitops.results,
    "hooks": hooks.results,
    "screen": screen.results,
    "debugger": debugger.results,
    "language_server": language_server.results,
}


def main(names: list[str]) -> int:
    unknown = set(names) - SUITES.keys()
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installation has its bytecode
    missed = 0
    for name in names or SUITES:
        for result in SUITES[name]():
            show(result)
            missed += not result.holds
    print(f"\n{missed} missed" if missed else "\nall hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
