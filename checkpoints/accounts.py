"""Which system user the embedded PostgreSQL runs as, and what that user can reach.

PostgreSQL refuses to run as root. For root it therefore runs under an unprivileged system user; for everybody
else it runs as they are. Nothing here ever changes the rights of a folder that it did not make.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError

__all__ = ["Account", "first_closed_folder", "make_folder", "owner_account", "server_account"]

DEDICATED_USER = "adjourn"
FALLBACK_USER = "nobody"
_PROBE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Account:
    """A system user that commands are run as.

    Args:
        name: Its login name, for messages.
        uid: Its user id.
        gid: Its group id.
        switch: Whether a process must change to this user first (only root can, and must).
    """

    name: str
    uid: int
    gid: int
    switch: bool

    def run(
        self, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user and wait for it.

        Args:
            command: Program and arguments.
            environment: Its whole environment; nothing is inherited.
            seconds: How long it may take.

        Returns:
            The finished process with its output as text; standard error is part of the output.

        Raises:
            OSError: It cannot be executed.
            subprocess.TimeoutExpired: It took too long and was killed.
        """
        identity: dict[str, Any] = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}
        return subprocess.run(  # noqa: S603 - a list, no shell; the programs are ours
            [str(part) for part in command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", **(environment or {})},
            **identity,
        )

    def can(self, test: str, path: Path) -> bool:
        """Say whether this user passes a shell test on a path, such as `-x` or `-r`.

        Args:
            test: The operator of `test`(1).
            path: What it is about.

        Raises:
            ConfigurationError: We are root but may not act as this user.
        """
        try:
            asked = self.run(["/bin/sh", "-c", f'test {test} "$1"', "sh", path], seconds=_PROBE_SECONDS)
            return asked.returncode == 0
        except PermissionError as error:
            raise ConfigurationError(
                f"As root adjourn runs PostgreSQL as the user {self.name}, and this machine does not allow root to "
                "change to it. Run adjourn as another user, or set ADJOURN_DATABASE_URL."
            ) from error

    def own(self, path: Path) -> None:
        """Give a file or folder that we made to this user.

        Raises:
            OSError: The owner cannot be changed.
        """
        if self.switch:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """Return the user that the embedded server runs as.

    Not root: the calling user. Root: the system user `adjourn`, made with `useradd` if it is missing; where that
    is impossible, `nobody`.

    Raises:
        ConfigurationError: We are root and there is neither of the two.
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(_login_name(uid), uid, os.getegid(), switch=False)
    entry = _entry(DEDICATED_USER) or _made() or _entry(FALLBACK_USER)
    if entry is None:
        raise ConfigurationError(
            "PostgreSQL does not run as root and this machine has no unprivileged user for it. "
            f"Make one (useradd --system {DEDICATED_USER}), run adjourn as another user, or set ADJOURN_DATABASE_URL."
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch=True)


def owner_account(path: Path) -> Account:
    """Return the user that owns a path, as the account to run a server on it.

    Args:
        path: An existing data folder.

    Raises:
        ConfigurationError: We may not act as its owner, or it belongs to root, as which PostgreSQL does not run.
    """
    status = path.stat()
    uid = os.geteuid()
    if status.st_uid == uid and uid != 0:
        return Account(_login_name(uid), uid, os.getegid(), switch=False)
    if uid != 0 or status.st_uid == 0:
        raise ConfigurationError(
            f"{path} belongs to the user {_login_name(status.st_uid)}, and the embedded PostgreSQL cannot run on it "
            f"for {_login_name(uid)}. Set ADJOURN_HOME to a folder of your own, or ADJOURN_DATABASE_URL."
        )
    return Account(_login_name(status.st_uid), status.st_uid, status.st_gid, switch=True)


def make_folder(path: Path, mode: int) -> None:
    """Make a folder and the missing ones above it; existing ones keep their rights.

    Args:
        path: The folder, absolute.
        mode: Rights of the folders that are made, whatever the umask.

    Raises:
        OSError: It cannot be made.
    """
    for folder in reversed([path, *path.parents]):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(mode)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            folder.chmod(mode)


def first_closed_folder(account: Account, path: Path) -> Path | None:
    """Return the topmost folder on the way to a path (itself included) that a user cannot walk through.

    Args:
        account: The user.
        path: An existing folder, absolute.
    """
    if account.can("-x", path):
        return None
    return next((folder for folder in reversed([path, *path.parents]) if not account.can("-x", folder)), path)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry if entry.pw_uid != 0 else None


def _made() -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
    arguments = ["--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", shell, DEDICATED_USER]
    subprocess.run(  # noqa: S603 - a list, no shell, a fixed program
        [useradd, *arguments], check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE_SECONDS
    )
    # Whether it worked or another process was quicker: what counts is that the user is there now.
    return _entry(DEDICATED_USER)


def _login_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
