"""What was tried on which server: keeps the results of a run, and makes the tables of docs/servers.md of them.

`make test-servers` keeps results, and checks that the page says nothing else; `make servers-page` writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.paths import ROOT
from tests.servers import KINDS, NOT_HERE, missing, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pytest

PAGE = ROOT / "docs" / "servers.md"
RESULTS = ROOT / ".pytest_cache" / "servers.json"
KEEP = bool(os.environ.get("LUASPROCS_TEST_RESULTS"))
"""Whether this run's results are kept."""
BY_SERVER = "tests/runtime/test_events_by_server.py"
BY_LETTER = "tests/runtime/test_flags.py::test_its_letters_are_enough_where_there_is_such_an_event"


class Row(NamedTuple):
    """A feature, and the files that show it. `short`: in CI's short form, too."""

    feature: str
    shown_by: str
    short: bool = False

    @property
    def files(self) -> list[str]:
        return [f"tests/{file}" for file in self.shown_by.split()]


FEATURES = (
    Row("Sprocs become live in one step; edits by hand are found", "registry/test_apply.py", short=True),
    Row("Calls, libraries, errors", "engine/test_engine.py test_client.py", short=True),
    Row("The examples, every key of a header", "engine/test_examples.py language/test_docs_keys.py"),
    Row("Commands that `luasprocs check` knows", "language/test_compiler.py", short=True),
    Row("Events: names, classes, newer commands", "runtime/test_flags.py runtime/test_events_by_server.py", short=True),
    Row("Types and values of keys", "engine/test_values_of_keys.py", short=True),
    Row("Each event once, with daemons killed", "faults/test_exactly_once.py faults/test_generations.py"),
    Row("Outages, full buffers, resets", "faults/test_outages.py faults/test_environment.py"),
    Row("A server's clock that is set forward and back", "faults/test_server_clock.py"),
    Row("Sprocs that never end, trigger each other, answer too much", "faults/test_contained.py", short=True),
    Row("`expired` in time", "runtime/test_deadlines.py", short=True),
    Row("Servers that refuse CONFIG", "runtime/test_canary.py"),
    Row("`luasprocs wait`", "sync/commands/test_wait.py"),
    Row("Schedules", "faults/test_schedules.py sync/commands/test_cron.py", short=True),
    Row("Jobs", "faults/test_jobs.py sync/commands/test_jobs.py"),
    Row("Jobs, within the engine", "engine/test_jobs_engine.py", short=True),
    Row("Async sprocs end as those on the server", "worker/test_agreement.py worker/test_libs.py", short=True),
    Row("Workers and their connections", "worker/test_server_side.py"),
    Row("Records and stats", "state/test_executions.py", short=True),
    Row("Rights of each role", "server/test_acl.py", short=True),
    Row("Connections, TLS, errors by name", "server/test_server.py"),
)


def files(*, short: bool = False) -> list[str]:
    """What pytest is to run."""
    return sorted({file for row in FEATURES for file in row.files if row.short or not short})


def mark(items: Iterable[pytest.Item]) -> None:
    """Notes each test's server and its name without that, for its reports."""
    for item in items:
        params = dict(callspec.params) if (callspec := getattr(item, "callspec", None)) else {}
        if kind := params.pop("server_kind", None):
            name = item.nodeid.partition("[")[0] + "".join(f"[{value}]" for value in params.values())
            # What is no text can't be sent by the process that ran it.
            item.user_properties.append(("tried", [kind, name.encode("utf-8", "backslashreplace").decode()]))


class Results:
    """Of one run: of each kind, how each test ended."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, str]] = {}

    def add(self, report: pytest.TestReport) -> None:
        """The end of a phase of a test: `passed`, `failed`, or why it was skipped."""
        tried: Any = dict(report.user_properties).get("tried")
        if tried and (report.when == "call" or not report.passed):
            kind, test = tried
            why = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
            self._found.setdefault(kind, {})[test] = why if report.skipped else report.outcome

    def keep(self, path: Path = RESULTS) -> None:
        """Beside those of other versions."""
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for kind in KINDS:
            if not missing(kind) and kind in self._found:
                kept[version_of(kind)] = self._found[kind]
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(kept), encoding="utf-8")


def _cell(tests: Mapping[str, str], wanted: Iterable[str]) -> tuple[str, set[str]]:
    """How the tests of a row ended; and why some were left out."""
    ends = {test: end for test, end in tests.items() for one in wanted if test.startswith(one)}
    if any(not any(test.startswith(one) for test in tests) for one in wanted):
        return "not tried", set()
    if "failed" in ends.values():
        return "no", set()
    skipped = {end for end in ends.values() if end != "passed" and not end.startswith(NOT_HERE)}
    return ("yes" if "passed" in ends.values() else "left out" if skipped else "not there"), skipped


def _columns(results: Mapping[str, Any]) -> list[str]:
    """Versions, Redis first, the oldest first."""
    return sorted(results, key=lambda one: (one.split()[0], [int(part) for part in one.split()[1].split(".")]))


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _links(row: Row) -> str:
    return ", ".join(f"[{file.removeprefix('tests/')}](../{file})" for file in row.files)


def features(results: Mapping[str, Mapping[str, str]]) -> str:
    """The table of features, and what was left out."""
    columns, notes, rows = _columns(results), [], []
    for row in FEATURES:
        cells = []
        for version in columns:
            cell, skipped = _cell(results[version], row.files)
            for why in sorted(skipped):
                if why not in notes:
                    notes.append(why)
                cell += f" ({notes.index(why) + 1})"
            cells.append(cell)
        rows.append([row.feature, *cells, _links(row)])
    said = "\n".join(f"{place}. {why}" for place, why in enumerate(notes, 1))
    return _table(["feature", *columns, "tests"], rows) + (f"\n\nLeft out there:\n\n{said}" if said else "")


def events(results: Mapping[str, Mapping[str, str]]) -> str:
    """The table of what not every server has."""
    from tests.runtime import test_events_by_server as by_server
    from tests.runtime import test_flags as by_letter

    columns = _columns(results)
    wanted = {f"the event `{event}`": f"{BY_LETTER}[{event}]" for event in sorted(by_letter.ON_NEWER_SERVERS)}
    for case, (_, published) in by_server.NEWER.items():
        test = f"{BY_SERVER}::test_what_newer_commands_publish_runs_a_sproc[{case}]"
        wanted[f"{case}: {_published(published)}"] = test
    wanted["the type `vectorset`"] = f"{BY_SERVER}::test_a_vector_set_has_its_type_and_no_value"
    rows = [[what, *(_cell(results[version], [test])[0] for version in columns)] for what, test in wanted.items()]
    differing = [[case, *map(_published, published_by)] for case, (_, *published_by) in by_server.DIFFERING.items()]
    return _table(["", *columns], rows) + "\n\n" + _table(["with a time that is past", "Redis", "Valkey"], differing)


def _published(events: str) -> str:
    """By the command itself, without what came before it."""
    return ", ".join(f"`{event}`" for event in events.rpartition("| ")[2].split())


def written(page: str, results: Mapping[str, Mapping[str, str]]) -> str:
    """The page with its tables made anew."""
    for name, table in (("features", features(results)), ("events", events(results))):
        begin, end = f"<!-- {name}: made by make servers-page -->\n", f"\n<!-- {name}: end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        assert pattern.search(page), begin
        page = pattern.sub(lambda _: begin + table + end, page)  # noqa: B023  # called at once
    return page


def untrue(page: str, results: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Where the page says something else than a run has shown, on servers that are on it."""
    wrong = []
    for name, table in (("features", features(results)), ("events", events(results))):
        said, shown = _cells(page.partition(f"<!-- {name}: made")[2]), _cells(table)
        for (row, version), cell in shown.items():
            if "not tried" not in {cell, said.get((row, version), "not tried")} and said[row, version] != cell:
                wrong.append(f"{row}: on {version} the page says {said[row, version]}, this run {cell}")
    return wrong


def _cells(text: str) -> dict[tuple[str, str], str]:
    """Of the first table: by row, and version without its last number; without what was left out."""
    table = text[text.index("|") :].partition("\n\n")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    versions = [version.rpartition(".")[0] for version in lines[0]]
    return {
        (line[0], version): cell.partition(" (")[0]
        for line in lines[2:]
        for version, cell in zip(versions, line, strict=False)
        if version
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["files", "short", "check", "write"])
    what = parser.parse_args().what
    if what in {"files", "short"}:
        print(*files(short=what == "short"))
        return 0
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    if what == "write":
        PAGE.write_text(written(page, results), encoding="utf-8")
        return 0
    print(*(wrong := untrue(page, results)), sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
