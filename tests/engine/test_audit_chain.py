"""The rules of a chain, and the files that prove it, without any database."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from adjourn.engine.audit_chain import START, Head, Link, check_chain, next_hash
from adjourn.engine.audit_files import ANCHOR, EXPORT, Anchored, Seal, check_export, entry_line, head_line
from adjourn.errors import InvalidInput
from adjourn.state.values import canonical_json

KEY = b"a key of the auditors"


def text(n: int, thread: str = "t", **more: object) -> str:
    return canonical_json({"n": n, "thread": thread, "kind": "asked", "at": "2026-11-21T10:00:00.000000Z", **more})  # type: ignore[dict-item]


def linked(entries: list[str], before: str = START, first: int = 1) -> list[Link]:
    links = []
    for seq, entry in enumerate(entries, start=first):
        before = next_hash(before, entry)
        links.append(Link(seq, entry, before))
    return links


def chain(length: int, thread: str = "t") -> list[Link]:
    return linked([text(n, thread) for n in range(1, length + 1)])


def head_of(links: list[Link]) -> Head:
    return Head(links[-1].seq, links[-1].hash) if links else Head(0, START)


def problems(links: list[Link], head: Head | None, anchored: Head | None = None) -> list[tuple[str, int | None]]:
    return [(found.problem, found.number) for found in check_chain("t", links, head, anchored)]


def test_the_hash_is_what_the_documentation_says() -> None:
    assert next_hash(START, "é") == hashlib.sha256(b"0" * 64 + "é".encode()).hexdigest()


@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_chain_that_nobody_touched_is_whole(length: int) -> None:
    links = chain(length)
    assert problems(links, head_of(links), head_of(links)) == []
    assert problems(links, head_of(links), head_of(links[:2])) == []


def test_a_changed_text_is_found_where_it_is() -> None:
    links = chain(5)
    links[2] = replace(links[2], entry=text(3, by="eve"))
    assert problems(links, head_of(links)) == [("changed", 3)]


def test_a_text_that_is_no_entry_any_more_is_found() -> None:
    links = chain(3)
    links[1] = replace(links[1], entry="nonsense")
    assert problems(links, head_of(links)) == [("changed", 2), ("moved", 2)]


def test_a_changed_hash_is_found_there_and_behind() -> None:
    links = chain(5)
    links[2] = replace(links[2], hash="f" * 64)
    assert problems(links, head_of(links)) == [("changed", 3), ("changed", 4)]


def test_missing_entries_are_found_in_the_middle_at_the_start_and_at_the_end() -> None:
    links = chain(6)
    assert ("missing", 3) in problems(links[:2] + links[4:], head_of(links))
    assert ("missing", 1) in problems(links[1:], head_of(links))
    assert problems(links[:4], head_of(links)) == [("missing", 5)]
    assert problems([], head_of(links)) == [("missing", 1)]


def test_added_entries_are_found() -> None:
    links = chain(3)
    longer = links + linked([text(4)], links[-1].hash, first=4)
    assert problems(longer, head_of(links)) == [("added", 4)]
    assert ("added", 2) in problems([*links[:2], links[1], links[2]], head_of(links))


def test_entries_in_another_order_are_found_even_with_new_hashes() -> None:
    links = chain(4)
    swapped = linked([links[0].entry, links[2].entry, links[1].entry, links[3].entry])
    assert problems(swapped, head_of(swapped)) == [("moved", 2), ("moved", 3)]


def test_a_chain_of_another_thread_is_found() -> None:
    other = chain(2, "u")
    assert problems(other, head_of(other)) == [("moved", 1), ("moved", 2)]


def test_a_chain_that_was_computed_anew_is_found_by_an_anchor_only() -> None:
    links = chain(5)
    forged = linked([text(n, by="eve") if n == 2 else text(n) for n in range(1, 6)])
    assert problems(forged, head_of(forged)) == []
    assert problems(forged, head_of(forged), head_of(links[:3])) == [("anchor", None)]
    shorter = linked([text(n) for n in range(1, 3)])
    assert problems(shorter, head_of(shorter), head_of(links[:3])) == [("missing", 3)]


def test_what_came_after_the_anchor_is_not_found_by_it() -> None:
    links = chain(5)
    forged = links[:3] + linked([text(4, by="eve"), text(5)], links[2].hash, first=4)
    assert problems(forged, head_of(forged), head_of(links[:3])) == []


def test_the_chain_of_a_run_that_is_gone_says_that_it_was_deleted() -> None:
    assert problems(chain(2), None) == [("head", None)]
    assert problems(linked([text(1), text(2, kind="erased", deleted=True)]), None) == []


def test_any_single_change_of_a_row_is_found() -> None:
    seeded = random.Random(7)
    for _ in range(300):
        links = chain(seeded.randint(1, 8))
        head, at = head_of(links), seeded.randrange(len(links))
        changes: list[Callable[[Link], list[Link]]] = [
            lambda link: [],
            lambda link: [replace(link, entry=text(link.seq, by="eve"))],
            lambda link: [replace(link, hash=next_hash(link.hash, ""))],
            lambda link: [replace(link, seq=link.seq + 1)],
            lambda link: [link, link],
        ]
        changed = [*links[:at], *seeded.choice(changes)(links[at]), *links[at + 1 :]]
        assert problems(changed, head)


def anchor(heads: dict[str, Head], key: bytes = KEY) -> list[str]:
    seal = Seal(key)
    lines = [seal.head(ANCHOR, "2026-11-21T10:00:00+00:00")]
    lines += [seal.line({"count": head.count, "hash": head.hash, "thread": name}) for name, head in heads.items()]
    return [*lines, seal.end()]


def read(lines: list[str], key: bytes = KEY) -> list[tuple[str, Head]]:
    return list(Anchored(lines, key).rest())


def test_an_anchor_is_read_as_it_was_written() -> None:
    heads = {"a": Head(1, "1" * 64), "b": Head(2, "2" * 64), "é": Head(3, "3" * 64)}
    anchored = Anchored(anchor(heads), KEY)
    assert [name for name, _ in anchored.until("a")] == ["a"]
    assert [name for name, _ in anchored.until("c")] == ["b"]
    assert (list(anchored.rest()), anchored.count, anchored.at) == ([("é", heads["é"])], 3, "2026-11-21T10:00:00+00:00")


def test_the_signature_is_an_hmac_over_all_lines_before_it() -> None:
    *lines, last = anchor({"a": Head(1, "1" * 64)})
    expected = hmac.new(KEY, "".join(lines).encode(), hashlib.sha256).hexdigest()
    assert json.loads(last) == {"hmac_sha256": expected}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[0], lines[1].replace('"count":1', '"count":2'), *lines[2:]], "signed with another key"),
        (lambda lines: [lines[0], *lines[2:]], "signed with another key"),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "signed with another key"),
        (lambda lines: anchor({"a": Head(1, "1" * 64)}, b"another key of sixteen"), "signed with another key"),
        (lambda lines: [*lines[:3], canonical_json({"sha256": hashlib.sha256("".join(lines[:3]).encode()).hexdigest()})],
         "signed with another key"),
        (lambda lines: lines[:-1], "its last line, the proof, is missing"),
        (lambda lines: [*lines, lines[1]], "Line 5 does not belong"),
        (lambda lines: lines[1:], "Line 1 does not belong"),
        (lambda lines: ["{", *lines], "Line 1 is no JSON object"),
        (lambda lines: [lines[0], " " + lines[1], *lines[2:]], "Line 2 of the audit anchor was changed"),
    ],
)  # fmt: skip
def test_an_anchor_that_was_changed_proves_nothing(change: Callable[[list[str]], list[str]], said: str) -> None:
    lines = anchor({"a": Head(1, "1" * 64), "b": Head(2, "2" * 64)})
    with pytest.raises(InvalidInput, match=said):
        read(change(lines))


def export(chains: dict[str, list[Link]], key: bytes | None) -> list[str]:
    seal = Seal(key)
    lines = [seal.head(EXPORT, "2026-11-21T10:00:00+00:00")]
    for thread, links in chains.items():
        lines += [seal.line(entry_line(thread, link)) for link in links]
        lines.append(seal.line(head_line(thread, head_of(links))))
    return [*lines, seal.end()]


@pytest.mark.parametrize("key", [None, KEY])
def test_an_export_is_checked_without_a_database(key: bytes | None) -> None:
    chains = {"t": chain(3), "u": chain(2, "u")}
    assert list(check_export(export(chains, key), key)) == []
    # whoever has no key can still check the chains
    assert list(check_export(export(chains, key))) == []
    chains["u"][0] = replace(chains["u"][0], entry=text(1, "u", by="eve"))
    assert [found.thread_id for found in check_export(export(chains, key), key)] == ["u"]


def test_an_export_without_a_signature_does_not_pass_for_a_signed_one() -> None:
    with pytest.raises(InvalidInput, match="signed with another key"):
        list(check_export(export({"t": chain(3)}, None), KEY))


def test_an_export_that_lost_a_head_is_not_whole() -> None:
    seal = Seal(None)
    lines = [seal.head(EXPORT, "now"), *(seal.line(entry_line("t", link)) for link in chain(2)), seal.end()]
    with pytest.raises(InvalidInput, match="the chain of t has no head"):
        list(check_export(lines))
