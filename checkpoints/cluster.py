"""One PostgreSQL data folder: make it, start a server on it, see how it is, stop it.

A `Cluster` knows nothing of who shares it; callers hold a lock around everything that changes it.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..errors import StorageUnavailable
from .accounts import Account

__all__ = ["Cluster", "Postmaster"]

# Not "adjourn": the default search_path begins with the schema that has the role's name, and our schema has that one.
SUPERUSER = "postgres"
_LOG_LINES = 6
_LOG_BYTES = 10_000_000
_INITDB_SECONDS = 300
# Recovery after a crash reads up to max_wal_size of log: minutes on a slow disk.
_START_SECONDS = 300
_STOP_SECONDS = 60
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says of a running server.

    Args:
        pid: The process id of the postmaster.
        socket_folder: Where its socket is.
        port: The port number in the socket's name.
        status: `starting`, `ready`, `stopping` or `standby`.
    """

    pid: int
    socket_folder: Path
    port: int
    status: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder and the programs for it.

    Args:
        installation: The folder that holds `bin/initdb`, `bin/pg_ctl`, `bin/postgres`.
        data: The data folder; it need not exist.
        log: The file that the server writes its log to.
        account: The user that the server runs as.
    """

    installation: Path
    data: Path
    log: Path
    account: Account

    def initialise(self, password: str, options: Sequence[str] = ()) -> None:
        """Make the data folder, if it is missing, with the superuser `postgres`.

        It is made under another name and renamed when it is whole, so that a kill in the middle leaves no
        half-made data folder; what such kills left is removed.

        Args:
            password: The superuser's password.
            options: More arguments for `initdb`.

        Raises:
            StorageUnavailable: `initdb` failed; the message holds its last lines.
        """
        if (self.data / "PG_VERSION").is_file():
            return
        for leftover in self.data.parent.glob(f"{self.data.name}.new-*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        draft = self.data.with_name(f"{self.data.name}.new-{secrets.token_hex(4)}")
        draft.mkdir(0o700)
        self.account.own(draft)
        # initdb reads the file as the server's user, before that the folder may hold nothing.
        secret = draft.with_name(f"{draft.name}.password")
        try:
            secret.touch(0o600)
            self.account.own(secret)
            secret.write_text(password + "\n")
            self._command("initdb", "-D", draft, "-U", SUPERUSER, "-E", "UTF8", "--pwfile", secret,
                          "--auth=scram-sha-256", "--locale=C", *options, seconds=_INITDB_SECONDS)  # fmt: skip
            draft.rename(self.data)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        finally:
            secret.unlink(missing_ok=True)

    def start(self, socket_folder: Path, settings: Mapping[str, str]) -> None:
        """Start the server and wait until it accepts connections.

        Args:
            socket_folder: A private folder for its socket; there is no TCP port.
            settings: Server settings by name.

        Raises:
            StorageUnavailable: It did not start; the message holds the last lines of its log.
        """
        self._forget_stranger()
        self._prepare_log()
        given = {"listen_addresses": "", "unix_socket_directories": str(socket_folder), **settings}
        options = shlex.join(part for name, value in given.items() for part in ("-c", f"{name}={value}"))
        deadline = time.monotonic() + _START_SECONDS
        while True:
            logged = self.log.stat().st_size
            try:
                self._command("pg_ctl", "start", "-D", self.data, "-l", self.log, "-w", "-t", str(_START_SECONDS),
                              "-o", options, seconds=_START_SECONDS + 10)  # fmt: skip
                return
            except StorageUnavailable:
                # After a kill -9 of the postmaster its children take a moment to notice; until then they hold
                # the shared memory and a new postmaster refuses to start.
                if b"shared memory block" not in self.log.read_bytes()[logged:] or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS * 4)

    def running(self) -> Postmaster | None:
        """Return the server that runs on this data folder, or None; left-over pid files do not count."""
        postmaster = self._pid_file()
        if postmaster is None or not self._is_ours(postmaster.pid):
            return None
        return postmaster

    def last_socket_folder(self) -> Path | None:
        """Return the socket folder of the server that runs, or of the last one if it did not end properly."""
        postmaster = self._pid_file()
        return postmaster.socket_folder if postmaster else None

    def settled(self) -> Postmaster | None:
        """Wait while a server that somebody else began to start or stop is doing so.

        Returns:
            The server once it accepts connections, or None when there is none (any more).

        Raises:
            StorageUnavailable: It stays in between for too long.
        """
        deadline = time.monotonic() + _START_SECONDS
        while (postmaster := self.running()) is not None and postmaster.status != "ready":
            if time.monotonic() > deadline:
                raise StorageUnavailable(
                    f"The embedded PostgreSQL (process {postmaster.pid}) has been {postmaster.status or 'starting'} "
                    f"for {_START_SECONDS} s. See its log {self.log}: {self.log_tail()}"
                )
            time.sleep(_POLL_SECONDS)
        return postmaster

    def stop(self) -> None:
        """Stop the server, if one runs: open transactions are rolled back, committed ones are on disk.

        Raises:
            StorageUnavailable: It does not stop.
        """
        if self.running() is None:
            return
        try:
            self._stop("fast")
        except StorageUnavailable:
            if self.running() is not None:
                self._stop("immediate")

    def log_tail(self) -> str:
        """Return the last lines of the server's log in one line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 4096))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return " | ".join(line.strip() for line in lines[-_LOG_LINES:] if line.strip()) or "(empty log)"

    def _stop(self, mode: str) -> None:
        self._command("pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-t", str(_STOP_SECONDS),
                      seconds=_STOP_SECONDS + 10)  # fmt: skip

    def _command(self, program: str, *arguments: str | Path, seconds: float) -> None:
        try:
            done = self.account.run([self.installation / "bin" / program, *arguments], seconds=seconds)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StorageUnavailable(f"The embedded PostgreSQL: {program} cannot run: {error}.") from error
        if done.returncode:
            said = " | ".join(line.strip() for line in done.stdout.splitlines()[-_LOG_LINES:] if line.strip())
            log = f" The server's log {self.log} ends: {self.log_tail()}" if program == "pg_ctl" else ""
            raise StorageUnavailable(f"The embedded PostgreSQL in {self.data}: {program} failed: {said}.{log}")

    def _pid_file(self) -> Postmaster | None:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            lines += [""] * (8 - len(lines))
            return Postmaster(int(lines[0]), Path(lines[4]), int(lines[3] or 0), lines[7].strip())
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def _is_ours(self, pid: int) -> bool:
        # A pid alone may have been given to another process since; a postmaster works in its data folder.
        try:
            process = psutil.Process(pid)
            return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).samefile(self.data)
        except (psutil.Error, OSError):
            return False

    def _forget_stranger(self) -> None:
        # PostgreSQL takes any living process of that pid for a server and would refuse to start. Its own guard
        # against two servers, the shared memory block, does not depend on this file.
        left = self._pid_file()
        if left is not None and psutil.pid_exists(left.pid) and not self._is_ours(left.pid):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _prepare_log(self) -> None:
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_BYTES:
                self.log.replace(self.log.with_name(f"{self.log.name}.old"))
        # pg_ctl opens it as the server's user, who may not make files in this folder.
        self.log.touch(0o600)
        self.account.own(self.log)
