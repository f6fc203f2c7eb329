"""Values from the command line."""

import io
import sys
from pathlib import Path

import pytest

from adjourn import InvalidDecision, InvalidInput
from adjourn.cli.inputs import mistaken_for_text, read_assignments, read_input, read_json
from support.rights import without_rights


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe\n")
    (tmp_path / "value.json").write_text('{"a": [1, 2]}')
    (tmp_path / "latin.txt").write_bytes(b"Gr\xfc\xdfe")
    (tmp_path / "a folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "stands_for"),
    [
        ("key=value", {"key": "value"}),
        ("key=12", {"key": "12"}),  # text stays text
        ("key:=12", {"key": 12}),
        ('key:=["a", null]', {"key": ["a", None]}),
        ("key=@text.txt", {"key": "Grüße\n"}),
        ("key:=@value.json", {"key": {"a": [1, 2]}}),
        ("key=", {"key": ""}),
        ("key=a=b:=c", {"key": "a=b:=c"}),
        ("a:b=1", {"a:b": "1"}),
        ('key:="@home"', {"key": "@home"}),
        (" key =x", {"key": "x"}),
    ],
)
def test_an_assignment_is_text_json_or_a_file(given: str, stands_for: object) -> None:
    assert read_assignments([given]) == stands_for


def test_assignments_win_over_the_keys_of_input() -> None:
    assert read_input('{"a": 1, "b": 2}', ["b=x", "c:=3"]) == {"a": 1, "b": "x", "c": 3}


def test_input_is_json_a_file_or_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO('["ä"]'.encode())))
    assert read_input("[1]", []) == [1]
    assert read_input("@value.json", []) == {"a": [1, 2]}
    assert read_input("-", []) == ["ä"]


def test_no_input_is_an_empty_object() -> None:
    assert read_input(None, []) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "--input is not valid JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
        ('{"a": NaN}', "--input: NaN is not JSON"),
        ("[" * 100_000, "--input is nested too deeply"),
        ("9" * 5000, "--input is not usable: Exceeds the limit"),
        ("@none.json", "--input: there is no file 'none.json' (looked in "),
        ("@a folder", "--input: the file 'a folder' cannot be read: is a directory"),
        ("@text.txt", "--input @text.txt is not valid JSON"),
        ("@latin.txt", "'latin.txt' cannot be read: it is not UTF-8 text (byte 2)"),
        ("@", "--input: there is no file name behind @"),
        ("@/dev/zero", "--input: more than 100,000,000 bytes"),
        ("@a\0b", "cannot be read: embedded null byte"),
        ("value.json", "write @value.json"),
    ],
)
def test_a_malformed_input_is_refused_in_one_line(given: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_input(given, [])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["value"], "--set takes key=value, key:=JSON or key=@file, not 'value'"),
        (["=value"], "--set takes key=value"),
        ([":=1"], "--set takes key=value"),
        (["a=1", "a:=2"], "names the key 'a' twice"),
        (["a:=one"], "--set a:= is not valid JSON"),
        (["a=@none.txt"], "--set a: there is no file 'none.txt'"),
    ],
)
def test_a_malformed_assignment_is_refused(given: list[str], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_assignments(given)
    assert said in str(refused.value)


def test_assignments_need_an_object_to_go_into() -> None:
    with pytest.raises(InvalidInput, match=r"--set adds keys, but --input is a list"):
        read_input("[1]", ["a=b"])


def test_a_file_without_the_right_to_read_it_is_refused(folder: Path) -> None:
    def read() -> None:
        assert read_assignments(["a=@other.txt"]) == {"a": "mine"}
        with pytest.raises(InvalidInput, match=r"text\.txt.* cannot be read: permission denied"):
            read_assignments(["a=@text.txt"])

    (folder / "other.txt").write_text("mine")
    (folder / "text.txt").chmod(0)
    read_assignments(["a=@other.txt"])  # loads the codec, which whoever has no rights may not be able to
    without_rights(read, folder)


def test_the_error_is_of_the_kind_that_was_asked_for() -> None:
    with pytest.raises(InvalidDecision, match="--edit is not valid JSON"):
        read_json("{", "--edit", InvalidDecision)


def test_a_number_given_as_text_gets_a_hint() -> None:
    assert "write count:=…" in mistaken_for_text(["count=3"], "The input key 'count' must be int, not a str")
    assert "write topics:=…" in mistaken_for_text(['topics=["a"]'], "topics: '[]' is not of type 'array'")
    assert mistaken_for_text(["count:=3"], "The input key 'count' must be str") == ""
    assert mistaken_for_text(["count=three"], "The input key 'count' must be int") == ""
    assert mistaken_for_text(["other=3"], "The input key 'count' must be int") == ""
