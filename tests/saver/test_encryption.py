"""With a key, nothing that people wrote can be read in the database."""

import base64
from typing import Any, TypedDict

import psycopg
import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from pydantic import SecretStr

from adjourn.checkpoints import open_saver
from adjourn.checkpoints.encryption import Cipher, cipher
from adjourn.errors import ConfigurationError
from support.postgres import dump
from support.saving import config, put

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


class State(TypedDict, total=False):
    text: str
    amount: int
    ratio: float
    answer: str


def secretive(saver: Any) -> Any:
    def fail(state: State) -> None:
        raise ValueError("ERRORSECRET")

    builder = StateGraph(State)
    builder.add_node("work", lambda state: {"text": state["text"] + " STATESECRET", "amount": 771177})
    builder.add_node("ask", lambda state: {"answer": interrupt({"question": "QUESTIONSECRET"})})
    builder.add_node("fail", fail)
    builder.add_edge(START, "work")
    builder.add_edge("work", "ask")
    builder.add_edge("ask", "fail")
    builder.add_edge("fail", END)
    return builder.compile(checkpointer=saver)


async def a_run_with_secrets(url: str) -> None:
    async with open_saver(url) as saver:
        graph = secretive(saver)
        await graph.ainvoke({"text": "INPUTSECRET", "ratio": 0.123456789}, config("t"))
        with pytest.raises(ValueError, match="ERRORSECRET"):
            await graph.ainvoke(Command(resume="ANSWERSECRET"), config("t"))


SECRETS = (
    b"INPUTSECRET",
    b"STATESECRET",
    b"QUESTIONSECRET",
    b"ANSWERSECRET",
    b"ERRORSECRET",
    b"771177",
    b"0.123456789",
)


async def test_without_a_key_the_dump_shows_everything(database: str) -> None:
    await a_run_with_secrets(database)
    found = dump(database)
    assert all(secret in found for secret in SECRETS)


async def test_with_a_key_the_dump_shows_no_input_no_state_no_question_no_answer_and_no_error(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_ENCRYPTION_KEY", NEW)
    await a_run_with_secrets(database)
    found = dump(database)
    assert b"aes256gcm-" in found
    assert not [secret for secret in SECRETS if secret in found]
    async with open_saver(database) as saver:
        read = await secretive(saver).aget_state(config("t"))
    assert read.values == {
        "text": "INPUTSECRET STATESECRET", "amount": 771177, "ratio": 0.123456789, "answer": "ANSWERSECRET",
    }  # fmt: skip


async def test_what_a_configuration_adds_to_metadata_is_hidden_but_for_ids_and_comes_back(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_ENCRYPTION_KEY", NEW)
    run = config("t")
    run["configurable"] |= {"customer": "METASECRET", "customer_id": "c-17"}
    run["metadata"] = {"purpose": "METASECRET", "langgraph_host": "here"}
    async with open_saver(database) as saver:
        await secretive(saver).ainvoke({"text": "in", "ratio": 0.5}, run)
        assert b"METASECRET" not in dump(database)
        found = [each.metadata async for each in saver.alist(config("t"), filter={"customer_id": "c-17"})]
        assert found, "ids stay clear, so that they can be searched"
        added = {"customer": "METASECRET", "customer_id": "c-17", "purpose": "METASECRET"}
        assert all(added.items() <= metadata.items() and "source" in metadata for metadata in found)


async def test_a_thread_begun_before_there_was_a_key_goes_on_under_it_and_under_the_next(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_saver(database) as saver:
        await secretive(saver).ainvoke({"text": "in", "ratio": 0.5}, config("t"))
    for keys in (OLD, f"{NEW}, {OLD}"):
        monkeypatch.setenv("ADJOURN_ENCRYPTION_KEY", keys)
        async with open_saver(database) as saver:
            await secretive(saver).aupdate_state(config("t"), {"amount": 5}, as_node="work")
            read = await secretive(saver).aget_state(config("t"))
            assert read.values == {"text": "in STATESECRET", "amount": 5, "ratio": 0.5}


async def test_a_value_whose_key_is_gone_says_which_one_it_needs(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_ENCRYPTION_KEY", OLD)
    async with open_saver(database) as saver:
        await put(saver, "t", text="x")
    monkeypatch.setenv("ADJOURN_ENCRYPTION_KEY", NEW)
    async with open_saver(database) as saver:
        with pytest.raises(ConfigurationError, match=r"aes256gcm-[0-9a-f]{8}; ADJOURN_ENCRYPTION_KEY holds"):
            await saver.aget_tuple(config("t"))


async def test_a_value_that_was_changed_in_the_database_is_not_read(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_ENCRYPTION_KEY", NEW)
    async with open_saver(database) as saver:
        await put(saver, "t", text="x")
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("update checkpoint_blobs set blob = set_byte(blob, 20, 255 - get_byte(blob, 20))")
        with pytest.raises(ConfigurationError, match="changed or damaged"):
            await saver.aget_tuple(config("t"))


@pytest.mark.parametrize("keys", ["", "short", base64.b64encode(b"x" * 16).decode(), f"{NEW},oops"])
def test_a_key_that_will_not_do_is_named_with_the_way_to_make_one(keys: str) -> None:
    with pytest.raises(ConfigurationError, match=r"32 bytes in base64.*urandom"):
        cipher(SecretStr(keys))


def test_keys_are_not_shown() -> None:
    assert repr(Cipher([b"\1" * 32])) == "Cipher(aes256gcm-72cd6e84)"
