"""Fixtures: real servers. A test that asks for `server` or `own_server` runs once on each of them."""

from __future__ import annotations

import gc
import sys
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests import tried
from tests.clusters import Cluster
from tests.daemons import DaemonProcess
from tests.sentinels import Sentinels
from tests.servers import CHOSEN, KINDS, KNOWN, MISSING, Server, in_ci, missing
from tests.soak import SOAK  # chooses the examples, too, before a test module asks for them

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


EITHER_SERVER = (
    "tui/",
    "operations/",
    "lsp/",
    "server/test_embedded.py",
    "sync/service/",
    "sync/commands/",
    "sync/reconcile/",
    "worker/test_confinement.py",
    "worker/test_descendants.py",
    "worker/test_hostile.py",
    "worker/test_modules.py",
    "worker/test_worker.py",
    "cluster/test_as_on_one_server.py",
    "cluster/test_client.py",
    "cluster/test_commands.py",
    "cluster/test_daemon.py",
    "cluster/test_finding.py",
    "cluster/test_merged.py",
    "cluster/test_orphans.py",
    "cluster/test_rights.py",
    "cluster/test_syncing.py",
    "cluster/test_topology.py",
    "faults/test_bursts.py",
    "faults/test_cuts",
    "faults/test_environment.py",
    "faults/test_jobs.py",
    "faults/test_schedules.py",
    "fuzz/test_channels.py",
    "fuzz/test_control.py",
    "fuzz/test_http.py",
)
"""What commands, operations, screens, git, daemons and the kernel do with what was read: each test on one server, half of
them on each.

What they read and write is tested on both, by the tests of what they do it with; the long forms are run on both.
"""
BOTH_SERVERS = (
    "tui/test_terminal.py",
    "tui/test_faults.py",
    "sync/service/test_outages.py",
    "sync/commands/test_cron.py",
    "sync/commands/test_evalsha.py",
    "sync/commands/test_execute.py",
    "sync/commands/test_foreign_library.py",
    "sync/commands/test_jobs.py",
    "sync/commands/test_roles.py",
    "sync/commands/test_secrets.py",
    "sync/commands/test_wait.py",
)
"""All the same."""
CLUSTERS = {"cluster": 0, "replicated": 1}
"""The fixtures that are clusters, and how many replicas each primary has there."""
REWORDED = hasattr(sys.modules.get("sitecustomize"), "reworded")
"""Whether all messages have other words: see rewording/sitecustomize.py."""


class OwnServer(Protocol):
    """Starts a server for one test: `own_server("--maxmemory", "3mb")`; it is stopped with the test."""

    def __call__(self, *options: str, kind: str | None = None, port: int = 0, persistent: bool = False) -> Server: ...


if REWORDED:

    def raises_in_any_words(expected: Any, *args: Any, match: object = None, **more: Any) -> Any:  # noqa: ARG001
        """`pytest.raises` that looks at the type alone."""
        return raises(expected, *args, **more)

    raises, pytest.raises = pytest.raises, raises_in_any_words  # type: ignore[assignment]


def pytest_sessionstart(session: pytest.Session) -> None:
    if unknown := [kind for kind, program in CHOSEN.items() if kind not in KNOWN and not program]:
        pytest.exit(f"LUASPROCS_TEST_SERVERS has {', '.join(unknown)}: take {', '.join(KNOWN)}, or NAME=PROGRAM", 1)
    if in_ci() and not hasattr(session.config, "workerinput") and (left_out := [*filter(None, map(missing, KINDS))]):
        pytest.exit(f"{'; '.join(left_out)}: in CI every test runs on each server", 1)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests of a cluster run where it is started already."""
    kind = item.callspec.params.get("server_kind") if hasattr(item, "callspec") else None
    for name in CLUSTERS:
        if name in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(f"{name}-{kind}"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tried.mark(items)
    left_out = {
        item for item in items if _on_the_other_server(item) or (REWORDED and item.get_closest_marker("wording"))
    }
    if left_out:
        config.hook.pytest_deselected(items=[*left_out])
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=_timeout_s, reverse=True)


def _timeout_s(item: pytest.Item) -> float:
    """Who needs longest begins first, so that nobody waits for it at the end."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0


def _on_the_other_server(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    kind = callspec.params.get("server_kind") if callspec else None
    file = item.nodeid.removeprefix("tests/")
    if SOAK or not kind or not file.startswith(EITHER_SERVER) or file.startswith(BOTH_SERVERS):
        return False
    name, _, parameters = item.nodeid.partition("[")
    same = f"{name}[{parameters.replace(kind, KINDS[0])}"  # a test's name may hold that of a server
    return str(kind) != KINDS[zlib.crc32(same.encode()) % len(KINDS)]


_results = tried.Results()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _results.add(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if tried.KEEP and not hasattr(session.config, "workerinput"):
        _results.keep()


def pytest_collection_finish() -> None:
    """What was collected stays to the end: looking through it for garbage again and again took a tenth of the time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    if not any(MISSING in why for why in skipped):
        return
    terminalreporter.section("LEFT OUT", sep="!", red=True, bold=True)
    for why in filter(None, map(missing, KINDS)):
        terminalreporter.line(f"{sum(why in one for one in skipped)} tests did not run: {why}", red=True)


@pytest.fixture(scope="session")
def _running() -> Iterator[dict[str, Server]]:
    """The servers that this process has started, by kind."""
    servers: dict[str, Server] = {}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture(params=KINDS)
def server_kind(request: pytest.FixtureRequest) -> str:
    """`valkey`, then `redis`; or what `LUASPROCS_TEST_SERVERS` names."""
    kind: str = request.param
    if why := missing(kind):
        pytest.skip(why)
    return kind


@pytest.fixture
def server(server_kind: str, _running: dict[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that many tests share, empty and as after its start."""
    shared = _running.get(server_kind)
    if shared is None:
        shared = _running[server_kind] = Server(server_kind, tmp_path_factory.mktemp(server_kind)).start()
    shared.reset()
    yield shared
    shared.release()


@pytest.fixture
def own_server(server_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A factory of servers of the test's own, of the test's kind if it asks for no other."""
    started: list[Server] = []

    def start(*options: str, kind: str | None = None, port: int = 0, persistent: bool = False) -> Server:
        folder = tmp_path_factory.mktemp("own")
        own = Server(kind or server_kind, folder, options, port=port, persistent=persistent)
        started.append(own)
        return own.start()

    yield start
    for own in started:
        own.stop()


@pytest.fixture(scope="session")
def _clusters() -> Iterator[dict[tuple[str, str], Cluster]]:
    """The clusters that this process has started, by fixture and kind."""
    clusters: dict[tuple[str, str], Cluster] = {}
    yield clusters
    for cluster in clusters.values():
        cluster.stop()


def _cluster(
    name: str, kind: str, clusters: dict[tuple[str, str], Cluster], folders: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One that tests share; a test may leave it in ruins: the next one gets another."""
    shared = clusters.get((name, kind))
    if shared and not shared.as_started():
        shared.stop()
        shared = None
    if shared is None:
        folder = folders.mktemp(f"{name}-{kind}")
        shared = clusters[name, kind] = Cluster(kind, folder, CLUSTERS[name]).start()
    shared.flush()
    yield shared
    shared.release()


@pytest.fixture
def cluster(
    server_kind: str, _clusters: dict[tuple[str, str], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Three primaries that many tests share, empty and as after their start."""
    yield from _cluster("cluster", server_kind, _clusters, tmp_path_factory)


@pytest.fixture
def replicated(
    server_kind: str, _clusters: dict[tuple[str, str], Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The same with a replica of each."""
    yield from _cluster("replicated", server_kind, _clusters, tmp_path_factory)


@pytest.fixture(scope="module", params=KINDS)
def sentinels(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    unused_tcp_port_factory: Callable[[], int],
) -> Iterator[Sentinels]:
    """A master, two replicas and three Sentinels that all tests of a module share: each leaves them whole."""
    if why := missing(request.param):
        pytest.skip(why)
    ports = [unused_tcp_port_factory() for _ in range(3)]
    with Sentinels(request.param, tmp_path_factory.mktemp("sentinel"), ports, quick=not SOAK) as running:
        yield running


class StartDaemon(Protocol):
    """Starts a daemon on a server: `start_daemon(server.url)`; it is killed with the test."""

    def __call__(self, url: str, *options: str, environ: Mapping[str, str] | None = None) -> DaemonProcess: ...


@pytest.fixture
def start_daemon(server_kind: str) -> Iterator[StartDaemon]:  # noqa: ARG001  # ends before the server does
    """A factory of daemon processes that listen already."""
    started: list[DaemonProcess] = []

    def start(url: str, *options: str, environ: Mapping[str, str] | None = None) -> DaemonProcess:
        started.append(DaemonProcess(url, *options, environ=environ))
        return started[-1].start()

    yield start
    for daemon in started:
        daemon.kill()
