"""Exit codes: one table, complete."""

from typing import get_args

import pytest

from adjourn import errors
from adjourn.cli.exits import EXIT_OF, Exit, exit_of_error, exit_of_status
from adjourn.cli.look import Status
from adjourn.engine.model import RunStatus


def test_every_error_of_the_tree_has_an_exit_code_of_its_own() -> None:
    assert {kind.__name__ for kind in EXIT_OF} == set(errors.__all__)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.RunFailed, 1), (errors.BudgetExceeded, 1),
        (errors.InvalidInput, 2), (errors.InvalidDecision, 2), (errors.ConfigurationError, 2),
        (errors.StorageUnavailable, 3),
        (errors.ThreadBusy, 4), (errors.ReviewClosed, 4), (errors.NotPaused, 4), (errors.NotAuthorized, 4),
        (errors.UnknownThread, 4), (errors.UnknownWorkflow, 4), (errors.UnknownReview, 4), (errors.ThreadExists, 4),
    ],
)  # fmt: skip
def test_an_error_ends_with_the_code_of_the_design(kind: type[errors.AdjournError], code: int) -> None:
    assert exit_of_error(kind("what was wrong")) == code


def test_an_error_that_is_not_ours_is_a_failure() -> None:
    assert exit_of_error(ValueError("?")) == Exit.FAILED


def test_a_run_ends_with_the_code_of_its_status() -> None:
    codes = {status: int(exit_of_status(status)) for status in get_args(RunStatus)}
    assert codes == {"completed": 0, "paused": 10, "failed": 1, "running": 4, "stalled": 4, "queued": 4, "cancelled": 4}


def test_list_offers_the_statuses_that_there_are() -> None:
    assert {status.value for status in Status} == set(get_args(RunStatus))
