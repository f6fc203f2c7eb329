"""The server that is measured on, what it costs, and what machine this is."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg

from adjourn.checkpoints.embedded import acquire

TABLES = """
    select format('%I.%I', n.nspname, c.relname), pg_total_relation_size(c.oid)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and (n.nspname = 'dbos' or c.relname like 'checkpoint%')
"""


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The server of a URL, or an embedded one that is thrown away; durability is that of production either way."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="adjourn-bench-") as folder:
        Path(folder).chmod(0o755)
        running = acquire(Path(folder) / "home")
        try:
            yield running.url.get_secret_value()
        finally:
            running.release()


def new_database(url: str, name: str) -> str:
    """Make an empty database; return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")  # type: ignore[call-overload]
        connection.execute(f"create database {name}")  # type: ignore[call-overload]
    head, _, tail = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{tail}" if tail else "")


def bytes_on_disk(url: str) -> int:
    """What the tables of a contender take, indexes and all, after a vacuum."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, _ in connection.execute(TABLES).fetchall():
            connection.execute(f"vacuum full {name}")
        return sum(size for _, size in connection.execute(TABLES))


def server_seconds(url: str) -> float:
    """Processor seconds that the server has used; 0 if it is not on this machine."""
    with psycopg.connect(url) as connection:
        row = connection.execute("select current_setting('data_directory')").fetchone()
    try:
        postmaster = psutil.Process(int((Path(str(row[0] if row else "")) / "postmaster.pid").read_text().split()[0]))
        # children that have ended are in the postmaster's times, the others have their own
        used = postmaster.cpu_times()
        total = used.user + used.system + used.children_user + used.children_system
    except (OSError, psutil.Error):
        return 0.0
    for child in postmaster.children():
        with suppress(psutil.Error):
            used = child.cpu_times()
            total += used.user + used.system
    return float(total)


def describe(url: str) -> dict[str, Any]:
    """Say what is measured where."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchone()
    postgres, fsync, synchronous = row or ("?", "?", "?")
    packages = ("langgraph", "langgraph-checkpoint", "langgraph-checkpoint-postgres", "psycopg", "dbos")
    return {
        "processors": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "postgres": f"{postgres}, fsync {fsync}, synchronous_commit {synchronous}",
        **{name: _version(name) for name in packages},
    }


def _version(package: str) -> str:
    with suppress(ImportError):
        return version(package)
    return "not installed"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
