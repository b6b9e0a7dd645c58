"""The wheel as a user gets it: everything in it, and at work in an empty environment far from the clone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT

CLONE = ROOT
# One worker builds and installs it for all.
pytestmark = [pytest.mark.long, pytest.mark.timeout(300), pytest.mark.xdist_group("wheel")]


def run(*command, **settings):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=240, **settings
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CLONE)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `bin` of an environment with nothing but the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Compiled is what is imported: all of it would take longer than all else here.
    run(sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-compile", wheel, env=environ)
    return folder / "bin"


@pytest.fixture
def bare(installed, tmp_path):
    """Settings of a process that inherits nothing but where git is."""
    return {"cwd": tmp_path, "env": {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}}


def files_of(folder, pattern):
    found = {path.relative_to(CLONE).as_posix() for path in (CLONE / folder).rglob(pattern)}
    assert found, (folder, pattern)
    return found


def test_the_wheel_carries_every_file_that_is_no_module(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    examples = {f"luasprocs/examples/{name.removeprefix('sprocs/')}" for name in files_of("sprocs", "*.lua")}
    assert "luasprocs/examples/sc1.lua" in examples
    expected = {
        *files_of("luasprocs/engine", "*.lua"),
        *files_of("luasprocs/worker", "*.lua"),
        *files_of("luasprocs_tui", "*.tcss"),
        *examples,
        *(
            "luasprocs/language/commands.txt",
            "luasprocs/language/globals.txt",
            "luasprocs/py.typed",
            "sync/py.typed",
            "luasprocs_tui/py.typed",
        ),
    }
    assert expected - packed == set()


def test_the_wheel_carries_every_module_and_nothing_else(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    assert packed == files_of("luasprocs", "*.py") | files_of("sync", "*.py") | files_of("luasprocs_tui", "*.py")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"luasprocs", "sync", "luasprocs_tui"}


def test_the_installed_package_is_not_the_clone(installed, bare):
    code = "import luasprocs, sync, luasprocs_tui; print(luasprocs.__file__, sync.__file__, luasprocs_tui.__file__)"
    places = run(installed / "python", "-c", code, **bare).split()
    assert all(Path(place).is_relative_to(installed.parent) for place in places)


def test_the_demo_runs_where_there_is_no_clone(installed, bare):
    said = run(installed / "luasprocs", "demo", **bare)
    examples = len(files_of("sprocs", "*.lua"))
    assert f"{examples} created, 0 updated, 0 deleted, 0 unchanged" in said
    assert 'redis> GET greeting\n  "hello world"\n' in said
    assert 'redis> GET sc2\n  "dream=something"\n' in said
    assert 'redis> FCALL luasprocs_execute 0 sc1.lua demo\n  "HELLO demo"\n' in said
    assert "luasprocs: 2 problems found" in said
    assert "as generation 4: 0 created, 1 updated, 0 deleted" in said


@pytest.mark.parametrize("command", ["luasprocs", "luasprocs-tui"])
def test_both_commands_tell_their_usage(installed, bare, command):
    assert f"Usage: {command} " in run(installed / command, "--help", **bare)
