"""Each role of `luasprocs acl` at its work: its rule allows all of it, and there is no right in it that the work doesn't need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.acl import rule
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from luasprocs.state.tails import Tail
from luasprocs_tui.backend.registry_backend import RegistryBackend
from tests.daemons import DaemonProcess
from tests.gitrepo import GitRepo
from tests.servers import share
from tests.sync.service.service import generation_of
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = Keys()
EVENT = "-- event=set\n-- key=ev:*\nreturn {}\n"
SHOWS = {
    "list": "a.lua",
    "show": "return",
    "cron": "paused",
    "jobs": "again.lua",
    "logs": "dies.lua",
    "history": "first",
}
"""What must stand in an answer."""
Work = list[tuple[str, "Callable[[], object]"]]


@pytest.fixture
def shop(shell, repo, server):
    """A repository that was synced by the administrator, and a job that is dead."""
    found = GitRepo(repo)
    found.write("sprocs/a.lua", EVENT.format(1))
    found.write("sprocs/c.lua", "-- every=1h\nreturn 1\n")
    found.write("sprocs/p.lua", "-- every=2h\nreturn 1\n")
    found.write("sprocs/d.lua", "return 1\n")
    found.write("sprocs/dies.lua", "-- runasync=yes\nerror('no')\n")
    found.write("sprocs/again.lua", "-- runasync=yes\n-- retries=1\n-- backoff=1h\nerror('no')\n")
    found.write("sprocs/queue.lua", "-- runasync=yes\n-- overlap=queue\nreturn 1\n")
    found.write("luasprocs.toml", "keep_generations = 3\n")
    found.commit("first")
    assert shell("sync").code == 0
    assert shell("pause", "p.lua").code == 0
    enqueue(server, "dies.lua", "again.lua")
    with DaemonProcess(server.url):
        until(lambda: jobs_of(server, "dead") and jobs_of(server, "delayed"))
    return found


def enqueue(server, *names):
    for name in names:
        server.client().execute_command("FCALL", "luasprocs_enqueue", 0, name, "ann", 1)


def jobs_of(server, state, sproc=""):
    found = read_jobs(Registry(server.client(), KEYS))
    return [job.id for job in found if job.state == state and sproc in {"", job.sproc}]


@pytest.fixture
def as_role(server, monkeypatch):
    """`luasprocs` as a user of a role, less some words of its rule."""

    def become(role: str, without: str = "") -> None:
        words = [word for word in rule(role, KEYS) if word != without]
        assert len(words) == len(rule(role, KEYS)) - bool(without)
        server.client().execute_command("ACL", "SETUSER", "worker", *words, ">pw")
        monkeypatch.setenv("LUASPROCS_REDIS", server.url.replace("redis://", "redis://worker:pw@"))

    return become


def deployers(shell, shop, server) -> Work:  # noqa: C901  # a list of small steps
    numbers = iter(range(100, 10_000))

    def cli(*words: str, code: int = 0) -> Callable[[], None]:
        def run() -> None:
            done = shell(*words)
            assert done.code == code, f"{words}: {done.code} {done.out} {done.err}"

        return run

    def change() -> None:
        number = next(numbers)
        keys = f"-- event=set\n-- key=ev{number}:*\n-- function=f{number}\n-- evalsha=yes\n"
        shop.write("sprocs/a.lua", f"{keys}return {number}\n")
        path = shop.path / "sprocs" / "d.lua"
        path.unlink() if path.exists() else shop.write("sprocs/d.lua", f"return {number}\n")
        shop.commit("change")
        cli("sync")()
        cli("sync")()  # which looks whether scripts are still loaded

    def jobs() -> None:
        """Each kind of a job, retried and dropped; the administrator puts back what was there."""
        admin, kept = server.client(), (KEYS.dead, KEYS.delayed)
        dumps = [(key, admin.dump(key)) for key in kept]
        try:
            for action in ("retry", "drop"):
                for state in ("dead", "delayed"):
                    cli("jobs", action, jobs_of(server, state)[0])()
                    for key, dump in dumps:
                        admin.restore(key, 0, dump, replace=True)
            enqueue(server, *["queue.lua"] * 3)
            cli("jobs", "drop", jobs_of(server, "waiting", "queue.lua")[0])()
            cli("jobs", "drop", jobs_of(server, "queued", "queue.lua")[0])()
        finally:
            for key, dump in dumps:
                admin.restore(key, 0, dump, replace=True)
            admin.delete(KEYS.jobs, KEYS.running, *admin.keys("*_Sproc_Waiting_*"))

    def edited() -> None:
        cli("edit", "a.lua", "--set", f"timeout={next(numbers) % 50 + 1}s")()
        cli("edit", "a.lua", "--undo")()

    def wait() -> None:
        said = shell("wait", "--timeout", "1s").err
        assert "no daemon is alive" in said or "no daemon yet" in said

    return [
        ("plan", cli("plan", code=0)),
        ("sync", change),
        ("rollback", lambda: (cli("rollback", str(generation_of(server.client()) - 1))(), cli("sync")())),
        ("pause", lambda: (cli("pause", "c.lua")(), cli("resume", "c.lua")())),
        ("suspend", lambda: (cli("suspend")(), cli("unsuspend")())),
        ("edit", edited),
        ("jobs", jobs),
        ("wait", wait),
        *[(f"look: {name}", run) for name, run in viewers(shell, server) if name != "watch"],
    ]


def viewers(shell, server) -> Work:

    def cli(*words: str) -> Callable[[], None]:
        def run() -> None:
            done = shell(*words)
            assert done.code in {0, 1}, f"{words}: {done.code} {done.out} {done.err}"
            assert "drift" not in done.out, done.out
            assert SHOWS.get(words[0], "") in done.out, done.out

        return run

    def watch() -> None:
        client = server.client(username="worker", password="pw")
        client.ttl(KEYS.cron_prefix + "c.lua")
        with client.pubsub() as listener:
            listener.subscribe(KEYS.generations)
            listener.unsubscribe(KEYS.generations)
            for _ in range(2):
                assert listener.get_message(timeout=30)

    def tail() -> None:
        Tail(Registry(server.client(username="worker", password="pw"), KEYS), "0-0").read(1)

    def screen() -> None:
        backend = RegistryBackend(server.url.replace("redis://", "redis://worker:pw@"))
        pulse = backend.snapshot((), full=False).pulse
        assert pulse is not None
        assert pulse.recorded is not None
        assert backend.sync_status().generation

    words = ("status", "list", "show a.lua", "history", "logs", "jobs", "cron", "plan")
    return [*((line, cli(*line.split())) for line in words), ("tail", tail), ("watch", watch), ("screen", screen)]


@pytest.mark.soak
@pytest.mark.parametrize("role", ["deployer", "viewer"])
def test_a_rule_allows_its_roles_work_and_each_right_taken_away_breaks_it(
    shell, shop, server, server_kind, as_role, role
):
    admin = server.client()
    work = deployers(shell, shop, server) if role == "deployer" else viewers(shell, server)
    as_role(role)
    used: dict[str, list[str]] = {}
    for name, run in work:
        admin.config_resetstat()
        run()
        for command in admin.info("commandstats"):
            used.setdefault(command.removeprefix("cmdstat_"), []).append(name)
    rights = [word for word in rule(role, KEYS) if word[0] in "+~%&" and not word.startswith("+@")]
    needless = [word for word in rights if word[0] == "+" and word[1:] not in used]
    assert needless == [], f"nothing here needs {needless}"
    steps = dict(work)
    for right in share(server_kind, rights):
        as_role(role, right)
        tried = used[right[1:]] if right[0] == "+" else list(steps)
        assert any(_fails(steps[name]) for name in tried), f"{role} works without {right}: {tried}"
        as_role("deployer")
        assert shell("unsuspend").code == shell("sync").code == 0  # what failed half-way is put right


def _fails(step) -> bool:
    try:
        step()
    except Exception:  # noqa: BLE001  # whatever a missing right leads to
        return True
    return False
