"""The commands of the audit: show it, sign its heads, check it, export it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InvalidInput
from .exits import Exit
from .run import Thread
from .session import Session

__all__ = ["AuditGroup", "audit_anchor", "audit_export", "audit_show", "audit_verify"]

STANDARD_OUTPUT = "-"


class AuditGroup(typer.core.TyperGroup):
    """A group whose first word may be a thread id: `adjourn audit THREAD` is `adjourn audit show THREAD`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take what is no command for a thread id."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def audit_show(session: Session, thread: Thread) -> int:
    """Show what happened to a run and who did it, as its audit says."""
    with session.engine() as engine:
        entries = engine.audit(thread)
    if session.as_json:
        from .json_out import audit_json

        session.result(audit_json(thread, entries))
    else:
        from .audit_view import audit_view

        session.show(audit_view(thread, entries, session.out.width))
    return Exit.COMPLETED


def audit_anchor(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file, or - for standard output.")],
) -> int:
    """Sign the heads of all chains with ADJOURN_AUDIT_KEY.

    Keep the file where nobody who administers the database can change it, and keep all of them.
    """
    with session.engine() as engine:
        lines = _write(file, engine.anchor_audit())
    return _written(session, file, f"the chains of {lines - 2:,} runs are signed", chains=lines - 2)


def audit_verify(
    session: Session,
    anchor: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An anchor: any change to what was there then is found.")
    ] = None,
) -> int:
    """Check that no entry of any run was changed, left out, added or moved.

    Ends with 1 when something is wrong. Without an anchor, whoever computed all hashes anew is not found.
    """
    with session.engine() as engine, session.working("checking"):
        if anchor is None:
            report = engine.verify_audit()
        else:
            try:
                with anchor.open(encoding="utf-8", newline="") as lines:
                    report = engine.verify_audit(lines)
            except OSError as error:
                raise InvalidInput(f"The anchor {anchor} cannot be read: {error.strerror or error}.") from None
            except UnicodeDecodeError:
                raise InvalidInput(f"{anchor} is no text, so it is no anchor; use the file as it was made.") from None
    if session.as_json:
        from .json_out import report_json

        session.result(report_json(report))
    else:
        from .audit_view import report_view

        session.show(report_view(report, datetime.now(UTC)))
    return Exit.COMPLETED if report.whole else Exit.FAILED


def audit_export(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file, or - for standard output.")],
    thread: Annotated[str | None, typer.Option(metavar="THREAD", help="Only this run. Default: all.")] = None,
) -> int:
    """Write entries as JSON Lines that can be checked without the database.

    With ADJOURN_AUDIT_KEY the file is signed.
    """
    with session.engine() as engine:
        lines = _write(file, engine.export_audit(thread))
    return _written(session, file, f"{lines:,} lines were written", lines=lines)


def _write(file: str, pieces: Iterable[str]) -> int:
    """Write text to a new file, or to standard output; return how many lines. What is not whole is not left behind."""
    if file == STANDARD_OUTPUT:
        return sum(_counted(sys.stdout.write, piece) for piece in pieces)
    path = Path(file)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as out:
            try:
                return sum(_counted(out.write, piece) for piece in pieces)
            except BaseException:
                with suppress(OSError):
                    path.unlink()
                raise
    except FileExistsError:
        raise InvalidInput(f"{file} is there already and is not overwritten; give a new name.") from None
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror or error}.") from None


def _counted(write: Any, piece: str) -> int:
    write(piece)
    return piece.count("\n")


def _written(session: Session, file: str, text: str, **counts: int) -> int:
    if file == STANDARD_OUTPUT:
        sys.stdout.flush()
    elif session.as_json:
        session.result({"file": file, **counts})
    else:
        from .layout import paragraph

        session.show(paragraph(f"{file}: {text}."))
    return Exit.COMPLETED
