"""What docs/deploy/ has: what a machine without Docker and systemd can tell of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields

import pytest
import yaml  # type: ignore[import-untyped]  # comes with pre-commit

from sync.settings import HostSettings
from tests.paths import ROOT

DEPLOY = ROOT / "docs" / "deploy"
SETTINGS = {field.name for field in fields(HostSettings)}


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "luasprocs.service"])
def test_settings_that_are_named_are_settings(name):
    named = {one.lower() for one in re.findall(r"LUASPROCS_([A-Z_]+)", (DEPLOY / name).read_text())}
    assert named <= SETTINGS
    assert named or name == "luasprocs.service"


def test_compose_starts_daemons_of_this_dockerfile_on_a_server_that_evicts_nothing():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    build = services["luasprocs"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert services["luasprocs"]["environment"]["LUASPROCS_REDIS"] == "redis://valkey:6379/0"
    assert services["valkey"]["command"][-2:] == ["--maxmemory-policy", "noeviction"]


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing")
    text = (DEPLOY / "luasprocs.service").read_text()
    (tmp_path / "luasprocs.service").write_text(text.replace("/opt/luasprocs/bin/luasprocs", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "luasprocs.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
