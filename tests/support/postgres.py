"""PostgreSQL for tests: the embedded server, servers that the machine has, and a database for each test."""

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock
from uuid import uuid4

import psutil
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.string import TextLoader
from pydantic import SecretStr

from adjourn.checkpoints import embedded
from adjourn.checkpoints.accounts import server_account
from adjourn.checkpoints.cluster import SUPERUSER, Cluster
from adjourn.checkpoints.migrate import migrate
from adjourn.settings import Settings

PLACES = (
    "usr/lib/postgresql/*",
    "usr/pgsql-*",
    "usr/local/pgsql*",
    "opt/homebrew/opt/postgresql@*",
    "usr/local/opt/postgresql@*",
    "Applications/Postgres.app/Contents/Versions/*",
)
TEMPLATE = "adjourn_template"
# To copy a database is to make hundreds of files, which a file system in memory does six times as fast.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4_000_000_000


def other_servers() -> dict[int, Path]:
    """The PostgreSQL installations of other major versions (14 and newer) on this machine, by version."""
    found: dict[int, Path] = {}
    on_path = shutil.which("postgres")
    candidates = [match for place in PLACES for match in sorted(Path("/").glob(place))]
    candidates += [Path(on_path).resolve().parent.parent] if on_path else []
    for folder in candidates:
        programs = [folder / "bin" / name for name in ("postgres", "initdb", "pg_ctl")]
        if not all(program.exists() for program in programs):
            continue
        said = subprocess.run([programs[0], "--version"], capture_output=True, text=True, check=False).stdout
        number = said.removeprefix("postgres (PostgreSQL) ").partition(".")[0]
        if number.isdigit() and 14 <= int(number) != embedded.MAJOR:
            found.setdefault(int(number), folder)
    return found


@contextlib.contextmanager
def walkable_folder() -> Iterator[Path]:
    """A temporary folder that others may walk through, as the server's user must when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="adjourn-test-", dir=_in_memory()))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _in_memory() -> Path | None:
    """Where files stay in memory, if there is room and programs that are copied there may run; else None."""
    if not os.access(MEMORY, os.W_OK):
        return None
    room = os.statvfs(MEMORY)
    return MEMORY if room.f_bavail * room.f_frsize > MEMORY_BYTES and not room.f_flag & os.ST_NOEXEC else None


@contextlib.contextmanager
def no_waiting_for_the_disk() -> Iterator[None]:
    """Make and start embedded servers of this process without fsync: their data need not outlive the machine."""
    with (
        mock.patch.object(embedded, "INITDB_OPTIONS", (*embedded.INITDB_OPTIONS, "--no-sync")),
        mock.patch.object(embedded, "SETTINGS", {**embedded.SETTINGS, "fsync": "off"}),
    ):
        yield


@contextlib.contextmanager
def embedded_postgres() -> Iterator[str]:
    """The embedded server in a home of its own; yields its URL."""
    with walkable_folder() as folder:
        with no_waiting_for_the_disk():
            server = embedded.acquire(folder)
        try:
            yield server.url.get_secret_value()
        finally:
            server.release()


@contextlib.contextmanager
def installed_postgres(installation: Path) -> Iterator[str]:
    """A server of an installation that the machine has; yields its URL."""
    with walkable_folder() as folder:
        cluster = Cluster(installation, folder / "data", folder / "log", server_account())
        sockets = folder / "run"
        sockets.mkdir(0o700)
        cluster.account.own(sockets)
        cluster.initialise("secret", ["--no-sync"])
        cluster.start(sockets, {"max_connections": "100", "fsync": "off"})
        try:
            yield f"postgresql://{SUPERUSER}:secret@/postgres?host={sockets}&port=5432"
        finally:
            cluster.stop()


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements, each by itself; return the rows of the last."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


async def make_template(url: str, settings: Settings) -> None:
    """Make the migrated database that each test gets a copy of."""
    execute(url, f"create database {TEMPLATE}")
    await migrate(SecretStr(database_url(url, TEMPLATE)), settings)


@contextlib.contextmanager
def fresh_database(url: str, template: str = "template0") -> Iterator[str]:
    """A copy of a template for the length of a block; yields its URL. `template0` makes an empty one."""
    name = _copied(url, template)
    try:
        yield database_url(url, name)
    finally:
        _dropped(url, name)


class Copies:
    """Copies of the migrated database of one server. A thread makes the next one while a test runs, and drops the last.

    Args:
        url: The server, with the template.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._work = ThreadPoolExecutor(max_workers=1)
        self._next = self._work.submit(_copied, url, TEMPLATE)

    @contextlib.contextmanager
    def copy(self) -> Iterator[str]:
        """A copy for the length of a block; yields its URL."""
        name = self._next.result()
        self._next = self._work.submit(_copied, self._url, TEMPLATE)
        try:
            yield database_url(self._url, name)
        finally:
            self._work.submit(_dropped, self._url, name)

    def close(self) -> None:
        """Wait for what is under way; the server can be stopped then."""
        self._work.shutdown()


def _copied(url: str, template: str) -> str:
    name = f"test_{uuid4().hex}"
    # without writing the copy to the log as well, which costs most of the time
    execute(
        url, f"create database {name} template {template}" + (" strategy file_copy" if _knows_strategy(url) else "")
    )
    return name


def _dropped(url: str, name: str) -> None:
    execute(url, f"drop database {name} with (force)")


@functools.cache
def _knows_strategy(url: str) -> bool:
    return execute(url, "select current_setting('server_version_num')::int >= 150000") == [(True,)]


def database_url(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    head, _, tail = url.partition("@/")
    return f"{head}@/{name}?{tail.partition('?')[2]}"


def as_role(url: str, role: str, password: str) -> str:
    """The connection string for another role on the same database."""
    return make_conninfo(url, user=role, password=password)


def postmaster(home: Path) -> psutil.Process | None:
    """The server that runs in a home, seen from outside adjourn."""
    file = home / "postgres" / "data" / "postmaster.pid"
    if not file.exists():
        return None
    try:
        process = psutil.Process(int(file.read_text().splitlines()[0]))
        return process if process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, IndexError):
        return None


def dump(url: str) -> bytes:
    """Everything in every table, in PostgreSQL's text form and decoded from its bytes."""
    found = b""
    with psycopg.connect(url) as connection:
        connection.adapters.register_loader("timestamptz", TextLoader)  # Python has no infinite time
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables "
            "where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor() as cursor:
                cursor.execute(f"select * from {table}")  # type: ignore[call-overload]
                found += b"\n".join(
                    value if isinstance(value, bytes) else str(value).encode() for row in cursor for value in row
                )
    return found
