"""No error of psycopg or its pool leaves adjourn as it is."""

import inspect
import pickle

import psycopg
import psycopg_pool
import pytest

from adjourn.checkpoints import mapped_faults
from adjourn.checkpoints.faults import connection_lost
from adjourn.errors import AdjournError, InvalidInput, StorageUnavailable


def tree(kind: type[psycopg.Error]) -> set[type[psycopg.Error]]:
    return {kind}.union(*(tree(child) for child in kind.__subclasses__()))


def error_classes() -> list[type[psycopg.Error]]:
    return sorted(tree(psycopg.Error), key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def test_the_list_of_errors_holds_those_that_psycopg_and_its_pool_publish() -> None:
    published = {
        value
        for module in (psycopg, psycopg.errors, psycopg_pool)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, psycopg.Error)
    }
    assert published <= set(error_classes())
    assert len(published) > 200


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_becomes_one_of_ours_that_says_what_to_do(kind: type[psycopg.Error]) -> None:
    with pytest.raises(AdjournError) as caught, mapped_faults("cannot list the runs", thread_id="t"):
        raise kind("it broke.\nDETAIL: a row with private text")
    assert type(caught.value) in (StorageUnavailable, InvalidInput)
    assert str(caught.value).startswith("PostgreSQL: cannot list the runs: it broke. ")
    assert len(str(caught.value)) > len("PostgreSQL: cannot list the runs: it broke. ")
    assert "private" not in str(caught.value)
    assert caught.value.thread_id == "t"
    assert isinstance(caught.value.__cause__, kind)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(KeyError), mapped_faults("cannot list the runs"):
        raise KeyError("x")


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_postgres_cannot_hold_is_invalid_input(text: str, database: str) -> None:
    with (
        psycopg.connect(database) as connection,
        pytest.raises(InvalidInput, match="zero bytes"),
        mapped_faults("cannot store the input"),
    ):
        connection.execute("select %s::text", (text,))


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.ConnectionFailure(), True),
        (psycopg.OperationalError("consuming input failed"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg_pool.PoolTimeout(), False),
        (psycopg.errors.PipelineAborted(), False),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.DiskFull(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, psycopg.Error) else str(value),
)
def test_only_a_lost_connection_counts_as_lost(error: psycopg.Error, lost: bool) -> None:
    assert connection_lost(error) is lost
