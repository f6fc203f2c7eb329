"""Processes share one embedded server: the first starts it, the last stops it, whoever is killed in between."""

import asyncio
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg
import pytest

from adjourn.checkpoints import open_storage
from adjourn.checkpoints.accounts import server_account
from adjourn.checkpoints.embedded import acquire
from adjourn.settings import load_settings
from support.eventually import eventually, wait_for
from support.postgres import execute, postmaster
from support.processes import child

USER = """
    from pathlib import Path
    from adjourn.checkpoints.embedded import acquire
    server = acquire(Path(sys.argv[1]))
    reach("using")
    server.release()
"""


def test_uses_in_one_process_share_the_server_and_the_last_release_stops_it(home: Path) -> None:
    first, second = acquire(home), acquire(home)
    first.release()
    first.release()
    assert execute(second.url.get_secret_value(), "select 1") == [(1,)]
    second.release()
    assert postmaster(home) is None


def test_processes_that_start_at_the_same_time_get_one_server(fresh_home: Path) -> None:
    with ExitStack() as stack:
        users = [stack.enter_context(child(USER, str(fresh_home))) for _ in range(4)]
        for user in users:
            user.wait_for("using")
        running = postmaster(fresh_home)
        assert running is not None
        for user in users[:3]:
            user.go_on()
            user.finish()
        assert postmaster(fresh_home) == running
        users[3].go_on()
        users[3].finish()
    assert postmaster(fresh_home) is None


def test_the_last_process_stops_the_server_after_another_was_killed(home: Path) -> None:
    server = acquire(home)
    with child(USER, str(home)) as other:
        other.wait_for("using")
        other.kill()
    server.release()
    assert postmaster(home) is None


def test_a_server_whose_users_were_all_killed_is_adopted_and_then_stopped(home: Path) -> None:
    with child(USER, str(home)) as only:
        only.wait_for("using")
        only.kill()
    orphan = postmaster(home)
    assert orphan is not None
    server = acquire(home)
    assert postmaster(home) == orphan
    server.release()
    assert postmaster(home) is None


def test_a_killed_server_is_started_again_with_everything_that_was_committed(home: Path) -> None:
    server = acquire(home)
    execute(server.url.get_secret_value(), "create table kept (value text)", "insert into kept values ('yes')")
    running = postmaster(home)
    assert running is not None
    running.kill()
    running.wait(30)
    with child(USER, str(home)) as other:
        other.wait_for("using")
        assert execute(server.url.get_secret_value(), "select value from kept") == [("yes",)]
        other.go_on()
        other.finish()
    server.release()


@pytest.mark.parametrize("step", ["start", "stop"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_around_the_start_or_the_stop_leaves_what_the_next_one_can_use(
    home: Path, step: str, moment: str
) -> None:
    killed = """
        from pathlib import Path
        from adjourn.checkpoints import cluster, embedded
        original = getattr(cluster.Cluster, sys.argv[2])
        def watched(*arguments):
            if sys.argv[3] == "before":
                reach("step")
            original(*arguments)
            reach("step")
        setattr(cluster.Cluster, sys.argv[2], watched)
        embedded.acquire(Path(sys.argv[1])).release()
    """
    with child(killed, str(home), step, moment) as victim:
        victim.wait_for("step")
        victim.kill()
    server = acquire(home)
    assert execute(server.url.get_secret_value(), "select current_database()") == [("adjourn",)]
    server.release()
    assert postmaster(home) is None


@pytest.mark.parametrize("program", ["initdb", "pg_ctl"])
def test_a_process_killed_during_the_very_first_start_leaves_no_rubbish_for_long(
    fresh_home: Path, program: str
) -> None:
    killed = """
        from pathlib import Path
        from adjourn.checkpoints import cluster, embedded
        original = cluster.Cluster._command
        def watched(self, program, *arguments, **named):
            original(self, program, *arguments, **named)
            if program == sys.argv[2]:
                reach("ran")
        cluster.Cluster._command = watched
        embedded.acquire(Path(sys.argv[1]))
    """
    with child(killed, str(fresh_home), program) as victim:
        victim.wait_for("ran")
        victim.kill()
    server = acquire(fresh_home)
    assert execute(server.url.get_secret_value(), "select current_database()") == [("adjourn",)]
    server.release()
    assert not list((fresh_home / "postgres").glob("*.new-*"))


def test_a_pid_file_whose_pid_belongs_to_another_process_by_now_does_not_stop_the_start(home: Path) -> None:
    account = server_account()
    identity = {"user": account.uid, "group": account.gid} if account.switch else {}
    with subprocess.Popen(["sleep", "60"], **identity) as stranger:
        file = home / "postgres" / "data" / "postmaster.pid"
        file.write_text(f"{stranger.pid}\n{file.parent}\n1\n5432\n{home}/postgres/run\n\n\nready\n")
        account.own(file)
        server = acquire(home)
        assert execute(server.url.get_secret_value(), "select 1") == [(1,)]
        server.release()
        assert stranger.poll() is None
        stranger.kill()


def test_a_new_server_waits_until_the_last_process_of_a_killed_one_has_ended(home: Path) -> None:
    server = acquire(home)
    with psycopg.connect(server.url.get_secret_value()) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        killed = postmaster(home)
        assert killed is not None
        killed.kill()
        killed.wait(30)
        with child(USER, str(home)) as other:
            log = home / "postgres" / "log"
            wait_for(lambda: "shared memory block" in log.read_text())
            backend.resume()
            other.wait_for("using")
            other.go_on()
            other.finish()
    server.release()


def test_a_forked_child_that_exits_takes_nothing_from_its_parent(home: Path) -> None:
    parent = """
        import os
        from pathlib import Path
        from adjourn.checkpoints.embedded import acquire
        server = acquire(Path(sys.argv[1]))
        pid = os.fork()
        if pid == 0:
            server.release()
            sys.exit()
        assert os.waitpid(pid, 0)[1] == 0
        reach("child gone")
        server.release()
    """
    with child(parent, str(home)) as running:
        running.wait_for("child gone")
        assert postmaster(home) is not None
        running.go_on()
        running.finish()
    assert postmaster(home) is None


def test_a_process_that_ends_without_releasing_stops_the_server_at_exit(home: Path) -> None:
    forgetful = "from pathlib import Path; from adjourn.checkpoints.embedded import acquire; acquire(Path(sys.argv[1]))"
    with child(forgetful, str(home)) as running:
        running.finish()
    assert postmaster(home) is None


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(home: Path) -> None:
    server = acquire(home)
    running = postmaster(home)
    assert running is not None
    assert os.getsid(running.pid) != os.getsid(0)
    server.release()


async def test_opening_that_is_cancelled_leaves_no_server(fresh_home: Path) -> None:
    async def opening() -> None:
        async with open_storage(load_settings(home=fresh_home)):
            pytest.fail("it was opened")

    task = asyncio.create_task(opening())
    await eventually(lambda: (fresh_home / "postgres").exists())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: (fresh_home / "postgres" / "data" / "base").exists() and postmaster(fresh_home) is None)


def test_a_home_that_was_removed_under_the_server_can_still_be_released(home: Path) -> None:
    server = acquire(home)
    running = postmaster(home)
    assert running is not None
    moved = home.with_name("moved")
    home.rename(moved)
    server.release()
    running.send_signal(signal.SIGQUIT)
    running.wait(30)
    with pytest.raises(psycopg.OperationalError):
        execute(server.url.get_secret_value(), "select 1")
