"""The embedded PostgreSQL: a real, private server that the processes of one user share.

    with-lock: join → is a server running? adopt it : make what is missing, start it
    with-lock: leave → was I the last? stop it

Who uses the server is known from a shared lock on the file `users`, which each process holds as long as it uses it.
The operating system drops the lock of a process that dies, however it dies, so there are no stale entries to clean
and a reused process id means nothing. If all users are killed the server stays, and the next user adopts it.

    <home>/postgres/lock         held while somebody starts or stops the server
    <home>/postgres/users        held (shared) by every user
    <home>/postgres/password     of the superuser; readable by the calling user only
    <home>/postgres/data, log    the server's
    <home>/postgres/run          the socket, in a folder that only the server's user (and root) may enter
    <home>/postgres/installation root only, if the server's user cannot reach the installed programs: a copy
"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql
from pydantic import SecretStr

from ..errors import ConfigurationError, StorageUnavailable
from .accounts import Account, first_closed_folder, make_folder, owner_account, server_account
from .cluster import SUPERUSER, Cluster, Postmaster
from .embedded_files import installed_programs, password_in, reachable_programs, remove_socket_folder, socket_folder
from .filelock import FileLock

__all__ = ["EmbeddedServer", "acquire"]

MAJOR: Final = 18
DATABASE: Final = "adjourn"
_LOCK_SECONDS = 600.0
_CONNECT_SECONDS = 30

# A private server: no replicas to feed, so the write-ahead log can be minimal; durability settings stay as they are.
SETTINGS: Final = MappingProxyType(
    {
        "max_connections": "200",
        "unix_socket_permissions": "0700",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
    }
)
# The collation of the operating system changes with its updates and would corrupt indexes; this one is built in.
INITDB_OPTIONS: Final = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")

_servers: dict[Path, _Shared] = {}
_servers_lock = threading.Lock()


class EmbeddedServer:
    """One use of the embedded server. Several may exist in one process; each is released once.

    Args:
        shared: What all uses of one home in this process share.
    """

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._released = False

    @property
    def url(self) -> SecretStr:
        """The connection URL of the database `adjourn`, with the password."""
        return self._shared.url

    def release(self) -> None:
        """Give the use up; the last one of the last process stops the server. Blocking; further calls do nothing.

        Raises:
            StorageUnavailable: The server does not stop.
        """
        with _servers_lock:
            if self._released or _servers.get(self._shared.root) is not self._shared:
                return
            self._released = True
            self._shared.uses -= 1
            if self._shared.uses == 0:
                del _servers[self._shared.root]
                self._shared.leave()


def acquire(home: Path) -> EmbeddedServer:
    """Use the embedded PostgreSQL of a home folder; make and start it if need be.

    Blocking (a first start takes seconds): call it in a thread. Safe for any number of threads and processes at
    once, and after a kill of any of them or of the server at any moment.

    Args:
        home: The folder that holds its data; made if it is missing. Existing folders keep their rights.

    Returns:
        A use of the running server, to be released. It is released at exit of the interpreter at the latest.

    Raises:
        ConfigurationError: The home cannot be written, belongs to somebody else, or lies where the server's user
            cannot go.
        StorageUnavailable: The server cannot be made or started; the message holds the last lines of its log.
    """
    home = Path(os.path.abspath(home.expanduser()))  # noqa: PTH100 - resolve() would follow links that may change
    root = home / "postgres"
    with _servers_lock:
        shared = _servers.get(root)
        if shared is None:
            shared = _Shared(home, root)
            shared.join()
            _servers[root] = shared
        shared.uses += 1
        return EmbeddedServer(shared)


class _Shared:
    """What all uses of one home in this process share: its place in the register, and the server's address."""

    def __init__(self, home: Path, root: Path) -> None:
        self.home = home
        self.root = root
        self.uses = 0
        self.url = SecretStr("")
        self._users = FileLock(root / "users")
        self._cluster: Cluster | None = None

    def join(self) -> None:
        try:
            self._join()
        except OSError as error:
            raise _unusable(self.home, error) from error

    def _join(self) -> None:
        # The home of root is walked through by the server's user; anybody else's is theirs alone.
        mode = 0o755 if os.geteuid() == 0 else 0o700
        make_folder(self.home, mode)
        make_folder(self.root, mode)
        with FileLock(self.root / "lock").exclusive(_LOCK_SECONDS):
            self._users.share()
            try:
                self._cluster = _cluster(self.root)
                self.url = _running_url(self.root, self._cluster)
            except BaseException:
                self._users.close()
                raise

    def leave(self) -> None:
        try:
            with FileLock(self.root / "lock").exclusive(_LOCK_SECONDS):
                if self._users.try_exclusive() and self._cluster is not None:
                    _stop(self.root, self._cluster)
        except FileNotFoundError:
            # Somebody removed the home; the server notices that its pid file is gone and ends by itself.
            return
        finally:
            self._users.close()

    def forget(self) -> None:
        # In a forked child: the parent's use is not ours, and closing our copy leaves the parent's lock alone.
        self._users.close()


def _running_url(root: Path, cluster: Cluster) -> SecretStr:
    password = password_in(root, cluster.data)
    postmaster = cluster.settled()
    if postmaster is None:
        postmaster = _started(root, cluster, password)
    url = _url(postmaster, password, DATABASE)
    _ensure_database(_url(postmaster, password, "postgres"))
    return SecretStr(url)


def _cluster(root: Path) -> Cluster:
    data = root / "data"
    account = owner_account(data) if data.is_dir() else server_account()
    _check_version(data)
    _check_way(root, account)
    programs = reachable_programs(installed_programs(), root / "installation", account)
    return Cluster(programs, data, root / "log", account)


def _started(root: Path, cluster: Cluster, password: str) -> Postmaster:
    cluster.initialise(password, INITDB_OPTIONS)
    remove_socket_folder(cluster.last_socket_folder(), root)
    cluster.start(socket_folder(root, cluster.account), SETTINGS)
    postmaster = cluster.running()
    if postmaster is None:
        raise StorageUnavailable(f"The embedded PostgreSQL ended at once. Its log: {cluster.log_tail()}")
    return postmaster


def _stop(root: Path, cluster: Cluster) -> None:
    used = cluster.last_socket_folder()
    cluster.stop()
    remove_socket_folder(used, root)


def _check_version(data: Path) -> None:
    with suppress(FileNotFoundError):
        found = (data / "PG_VERSION").read_text().strip()
        if found != str(MAJOR):
            raise ConfigurationError(
                f"{data} was made by PostgreSQL {found}; this adjourn comes with PostgreSQL {MAJOR}. "
                "Upgrade it with pg_upgrade, or set ADJOURN_HOME to another folder."
            )


def _check_way(root: Path, account: Account) -> None:
    if not account.switch:
        return
    closed = first_closed_folder(account, root)
    if closed is not None:
        raise ConfigurationError(
            f"As root the embedded PostgreSQL runs as the user {account.name}, who may not enter {closed}. "
            "Set ADJOURN_HOME to a folder that others may walk through, such as /var/lib/adjourn; "
            "adjourn never widens the rights of an existing folder."
        )


def _ensure_database(url: str) -> None:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        raise StorageUnavailable(f"The embedded PostgreSQL runs but refuses us: {error}") from error


def _url(postmaster: Postmaster, password: str, database: str) -> str:
    folder = quote(str(postmaster.socket_folder), safe="")
    return f"postgresql://{SUPERUSER}:{password}@/{database}?host={folder}&port={postmaster.port}"


def _unusable(home: Path, error: OSError) -> ConfigurationError:
    reason = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
    return ConfigurationError(
        f"The folder {home} cannot hold the embedded PostgreSQL: {reason}. "
        "Set ADJOURN_HOME to a folder that you may write to, or ADJOURN_DATABASE_URL to a PostgreSQL server."
    )


@atexit.register
def _release_all() -> None:
    with _servers_lock:
        for root in list(_servers):
            with suppress(StorageUnavailable, ConfigurationError, OSError):
                _servers.pop(root).leave()


def _forget_all() -> None:
    global _servers_lock
    # Another thread may have held the lock at the moment of the fork; nobody would release it here.
    _servers_lock = threading.Lock()
    for shared in _servers.values():
        shared.forget()
    _servers.clear()


os.register_at_fork(after_in_child=_forget_all)
