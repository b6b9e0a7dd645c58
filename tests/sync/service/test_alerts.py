"""docs/deploy/alerts.yml: as promtool reads it, and as a real Prometheus fires it that scrapes a real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.acknowledgeable import until_ms
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.registry import Registry
from luasprocs.state.acknowledged import acknowledge
from tests.gitrepo import GitRepo
from tests.paths import ROOT
from tests.servers import in_ci
from tests.sync.service.service import KEYS, Service, live
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnServer

pytestmark = pytest.mark.timeout(180)
RULES = ROOT / "docs" / "deploy" / "alerts.yml"
CONFIG = """\
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: luasprocs
    static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
"""


@pytest.fixture(autouse=True)
def _there_is_a_prometheus() -> None:
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        (pytest.fail if in_ci() else pytest.skip)("prometheus is missing: .ci/install-redis installs it")


def test_what_promtool_makes_of_the_rules(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "alerts_test.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_code_has_its_alert() -> None:
    named = re.findall(r'code=~"([a-z_|]+)"', RULES.read_text())
    codes = [code for some in named for code in some.split("|")]
    assert sorted(codes) == sorted(set(FindingCode) - {FindingCode.UNREACHABLE}), "that one is luasprocs_redis_up"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextlib.contextmanager
def prometheus(folder: Path, target: int) -> Iterator[str]:
    """Scrapes a daemon each second, and doesn't wait for minutes before it fires. Gives its URL."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=target))
    (folder / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 1s", RULES.read_text()))
    address = f"127.0.0.1:{free_port()}"
    options = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["prometheus", *options], cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def firing(url: str) -> set[str]:
    """Alerts that fire, with their code."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=5) as answer:
        alerts = json.load(answer)["data"]["alerts"]
        return {
            ":".join(filter(None, (one["labels"]["alertname"], one["labels"].get("code", ""))))
            for one in alerts
            if one["state"] == "firing"
        }
    return {"nothing answers"}


def scrapes(url: str) -> bool:
    """Whether the daemon is scraped."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api/v1/targets", timeout=5) as answer:
        return any(one["health"] == "up" for one in json.load(answer)["data"]["activeTargets"])
    return False


def test_a_real_prometheus_fires_and_ends_each(own_server: OwnServer, tmp_path: Path) -> None:
    own, repo, port = own_server(persistent=True), GitRepo(tmp_path / "shop"), free_port()
    repo.write("sprocs/a.lua", "-- event=set\n-- key=ev:*\nreturn 1\n")
    commit = repo.commit("first")
    client = own.client()
    registry = Registry(client, KEYS)

    def only(*wanted: str) -> None:
        until(lambda: firing(url) == set(wanted), what=lambda: f"{firing(url)} fire, not {wanted}: {daemon.output}")

    daemon = Service(own.url, repo.path, environ={"LUASPROCS_HTTP": f"127.0.0.1:{port}"})
    with daemon, prometheus(tmp_path / "prometheus", port) as url:
        live(client, commit)
        until(lambda: scrapes(url))
        only()
        gap = {"source": "s", "from_ms": 1, "to_ms": 2, "why": "w", "daemon": "d"}
        client.xadd(KEYS.gaps, gap)  # type: ignore[arg-type]
        only("LuasprocsEventsMissed:gap")
        acknowledge(registry, until_ms(read_snapshot(registry, own.url)), "ann")
        only()
        client.xadd(
            KEYS.dead, {"id": "1", "sproc": "a.lua", "status": "error", "error": "x", "attempts": "1", "job": "{}"}
        )
        only("LuasprocsError:dead_jobs")
        client.delete(KEYS.dead)
        only()
        os.kill(own.pid, signal.SIGSTOP)
        try:
            only("LuasprocsRedisDown")
        finally:
            os.kill(own.pid, signal.SIGCONT)
        until(lambda: "LuasprocsRedisDown" not in firing(url))
        own.kill()
        until(lambda: "LuasprocsRedisDown" in firing(url))
        own.restart()
        until(lambda: "LuasprocsRedisDown" not in firing(url))
        daemon.kill()
        until(lambda: "LuasprocsDaemonsGone" in firing(url), what=lambda: firing(url))
