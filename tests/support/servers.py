"""A PostgreSQL server of a test's own that can be stopped and started again, and PgBouncer in front of a server."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from adjourn.checkpoints.accounts import server_account
from adjourn.checkpoints.cluster import SUPERUSER, Cluster
from adjourn.checkpoints.embedded_files import installed_programs, reachable_programs
from support.postgres import walkable_folder

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


class Server:
    """A running server with durability as in production."""

    def __init__(self, cluster: Cluster, sockets: Path) -> None:
        self._cluster = cluster
        self._sockets = sockets
        self.url = f"postgresql://{SUPERUSER}:secret@/postgres?host={sockets}&port=5432"

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._cluster.running() is None:
            self._start()

    def _start(self) -> None:
        self._cluster.start(self._sockets, {"max_connections": "100"})

    def stop(self) -> None:
        """As a crash does it: at once, nothing is written down."""
        self._cluster._stop("immediate")


@contextlib.contextmanager
def own_server() -> Iterator[Server]:
    """A new server for the length of a block."""
    account = server_account()
    with walkable_folder() as folder:
        programs = reachable_programs(installed_programs(), folder / "installation", account)
        cluster = Cluster(programs, folder / "data", folder / "log", account)
        sockets = folder / "run"
        sockets.mkdir(0o700)
        account.own(sockets)
        cluster.initialise("secret")
        server = Server(cluster, sockets)
        server.start()
        try:
            yield server
        finally:
            cluster.stop()


@contextlib.contextmanager
def pgbouncer(url: str) -> Iterator[str]:
    """PgBouncer in transaction mode in front of a database; yields the URL of its own."""
    assert PGBOUNCER is not None
    account, target = server_account(), conninfo_to_dict(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with walkable_folder() as folder:
        settings = folder / "pgbouncer.ini"
        place = " ".join(
            f"{name}={target[name]}" for name in ("host", "port", "dbname", "user", "password") if name in target
        )
        settings.write_text(
            f"[databases]\nbehind = {place}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\n"
        )
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []} if account.switch else {}
        process = subprocess.Popen(
            [PGBOUNCER, settings],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **identity,  # type: ignore[call-overload]
        )
        try:
            _wait_for_port(port, process)
            yield f"postgresql://anyone@127.0.0.1:{port}/behind"
        finally:
            process.terminate()
            process.communicate()


def _wait_for_port(port: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"PgBouncer does not listen:\n{process.communicate()[0]}")
        time.sleep(0.05)
