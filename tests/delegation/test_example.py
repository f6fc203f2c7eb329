"""The example works on real files: the documentation of this project, and a folder with a broken link."""

from pathlib import Path

from adjourn.examples.delegation_docs import plan_of, work

DOCS = Path(__file__).parents[2] / "docs"


def test_the_links_of_this_documentation_are_sound_and_its_contents_are_written(database: str, tmp_path: Path) -> None:
    output = tmp_path / "contents.md"
    run = work(DOCS, output, database)
    assert run.status == "completed", run.error
    result = run.state["final_result"]["result"]
    assert result["files"] == len(list(DOCS.rglob("*.md")))
    assert result["links"] > 50
    assert "- [Documentation](index.md)" in output.read_text()


def test_a_broken_link_fails_the_run_and_what_was_written_is_put_back(database: str, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\n[b](b.md#second) and [nothing](c.md)\n")
    (tmp_path / "b.md").write_text("# B\n\n## First\n")
    output = tmp_path / "contents.md"
    output.write_text("as it was\n")
    waits_for = {each["id"]: each.get("dependencies") for each in plan_of(tmp_path, output)["subtasks"]}
    assert waits_for["check a.md"] == ["outline a.md", "outline b.md"]
    run = work(tmp_path, output, database)
    assert run.status == "failed"
    assert "b.md#second: there is no such heading" in run.error["message"]
    assert "c.md: there is no such file" in run.error["message"]
    assert output.read_text() == "as it was\n"
