"""docs/servers.md names all that is tried, and nothing else; the script that fetches servers says what is left out."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests import tried
from tests.paths import ROOT
from tests.servers import NOT_HERE

PAGE = tried.PAGE.read_text(encoding="utf-8")
SHOWN = {name: "passed" for row in tried.FEATURES for name in row.files}
RESULTS = {"Redis 7.0.15": SHOWN, "Redis 8.0.2": SHOWN, "Valkey 8.1.1": SHOWN, "Valkey 9.1.2": SHOWN}
FETCH = ROOT / ".ci" / "fetch-servers"


def test_the_files_of_each_row_are_there_and_each_row_is_on_the_page():
    assert all((ROOT / name).is_file() for name in tried.files())
    assert set(tried.files(short=True)) < set(tried.files())
    there = {line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")}
    rows = (tried.features(RESULTS) + "\n" + tried.events(RESULTS)).splitlines()
    missing = {line.split(" | ")[0] for line in rows if line.startswith("| ")} - there
    assert not missing, f"{missing}: make servers-page"
    for row in tried.FEATURES:
        assert all(f"](../{name})" in PAGE for name in row.files), row


@pytest.mark.parametrize(
    ("end", "cell"),
    [("passed", "yes"), ("failed", "no"), (NOT_HERE + "VADD", "not there"), ("no TLS", "left out (1)")],
)
def test_a_cell_says_how_the_tests_of_its_row_ended(end, cell):
    results = {"Redis 9.9.9": {"tests/registry/test_apply.py::test_a": end}}
    first, second = tried.features(results).splitlines()[2:4]
    assert first.split(" | ")[1] == cell
    assert second.split(" | ")[1] == "not tried"
    assert (end in tried.features(results)) == (end == "no TLS")


def test_what_the_page_says_otherwise_is_found():
    page = tried.written(PAGE, {"Redis 9.9.1": {**SHOWN, "tests/state/test_executions.py": "failed"}})
    assert tried.untrue(page, {"Redis 9.9.2": {"tests/state/test_executions.py": "failed"}}) == []
    [wrong] = tried.untrue(page, {"Redis 9.9.2": {"tests/state/test_executions.py": "passed"}})
    assert wrong == "Records and stats: on Redis 9.9 the page says no, this run yes"
    assert tried.untrue(page, {"Redis 9.8.1": {"tests/state/test_executions.py": "passed"}}) == []
    vector_sets = {f"{tried.BY_SERVER}::test_a_vector_set_has_its_type_and_no_value": "passed"}
    page = tried.written(PAGE, {"Redis 9.8.1": {}, "Redis 9.9.1": vector_sets})
    assert tried.untrue(page, {"Redis 9.9.2": vector_sets}) == []
    [wrong] = tried.untrue(page, {"Redis 9.9.2": dict.fromkeys(vector_sets, NOT_HERE)})
    assert wrong == "the type `vectorset`: on Redis 9.9 the page says yes, this run not there"


@pytest.fixture
def checkout(tmp_path):
    """A folder with the script alone, and a PATH that has all that it needs but apt-get."""
    (tmp_path / ".ci").mkdir()
    shutil.copy2(FETCH, tmp_path / ".ci")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "uname", "sha256sum"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def fetch(checkout, **environ):
    environ = {"PATH": str(checkout / "programs"), **environ}
    return subprocess.run(
        [checkout / ".ci" / "fetch-servers"], env=environ, capture_output=True, text=True, check=False
    )


def test_where_servers_can_not_be_fetched_it_says_why_and_in_ci_it_fails(checkout):
    done = fetch(checkout)
    said = "!!! they are Debian packages, and this machine has no apt-get: every test on Redis 8.0 and Valkey 8.1 is LEFT OUT\n"
    assert (done.returncode, done.stderr) == (0, said)
    assert fetch(checkout, CI="true").returncode == 1


def test_what_was_unpacked_is_checked_each_time(checkout):
    servers = checkout / ".servers"
    servers.mkdir()
    (servers / "redis-server").write_text("a program")
    summed = ["sha256sum", "redis-server", "../.ci/fetch-servers"]
    sums = subprocess.run(summed, cwd=servers, capture_output=True, check=True).stdout
    (servers / "SHA256SUMS").write_bytes(sums)
    assert fetch(checkout, CI="true").returncode == 0
    (servers / "redis-server").write_text("another program")
    done = fetch(checkout, CI="true")
    assert done.returncode == 1
    assert "is not as it was unpacked" in done.stderr
