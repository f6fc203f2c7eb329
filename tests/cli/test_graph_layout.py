"""Where boxes and lines stand, and what is drawn of them."""

import random
from io import BytesIO
from itertools import combinations, pairwise
from xml.etree.ElementTree import fromstring

import pytest
from PIL import Image

from adjourn.cli.graph_layout import BOX_ROWS, Layout, laid_out
from adjourn.cli.graph_png import as_png
from adjourn.cli.graph_svg import as_svg
from adjourn.cli.graph_text import as_list, as_text
from adjourn.errors import ConfigurationError

REVIEW = {name: name for name in ("start", "ask", "pay", "end")}
LOOP = {("start", "ask"): False, ("ask", "pay"): True, ("ask", "start"): True, ("pay", "end"): False}


def some_graph(seed: int) -> tuple[dict[str, str], dict[tuple[str, str], bool]]:
    chance = random.Random(seed)
    names = [f"n{number}" for number in range(chance.randint(1, 9))]
    labels = {name: "x" * chance.randint(1, 12) for name in names}
    return labels, {(a, b): chance.random() < 0.5 for a in names for b in names if chance.random() < 0.2}


@pytest.fixture(scope="module")
def layouts() -> list[tuple[dict[tuple[str, str], bool], Layout]]:
    graphs = [some_graph(seed) for seed in range(200)]
    return [(edges, laid_out(labels, edges)) for labels, edges in graphs]


Layouts = list[tuple[dict[tuple[str, str], bool], Layout]]


def test_no_box_lies_on_another(layouts: Layouts) -> None:
    for _, layout in layouts:
        for one, other in combinations(layout.boxes, 2):
            beside = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert beside or abs(one.y - other.y) >= BOX_ROWS


def test_every_line_leads_from_the_border_of_its_source_to_that_of_its_target(layouts: Layouts) -> None:
    for edges, layout in layouts:
        box = {box.id: box for box in layout.boxes}
        drawn = [pair for pair in edges if pair[0] != pair[1]]
        for (source, target), line in zip(drawn, layout.lines, strict=True):
            for name, (x, y) in ((source, line.points[0]), (target, line.points[-1])):
                assert box[name].x < x < box[name].x + box[name].width - 1
                assert y in (box[name].y, box[name].y + BOX_ROWS - 1)
            assert line.conditional == edges[source, target]


def test_lines_run_at_right_angles_and_around_boxes(layouts: Layouts) -> None:
    for _, layout in layouts:
        for line in layout.lines:
            for (x, y), (to_x, to_y) in pairwise(line.points):
                assert x == to_x or y == to_y
                for box in layout.boxes:
                    beside = max(x, to_x) < box.x or min(x, to_x) >= box.x + box.width
                    assert beside or max(y, to_y) <= box.y or min(y, to_y) >= box.y + BOX_ROWS - 1


def test_two_lines_never_share_a_piece_of_their_way(layouts: Layouts) -> None:
    for _, layout in layouts:
        taken: dict[tuple[bool, int], list[tuple[int, int]]] = {}
        for line in layout.lines:
            for (x, y), (to_x, to_y) in pairwise(line.points):
                level = y == to_y
                span = (min(x, to_x), max(x, to_x)) if level else (min(y, to_y), max(y, to_y))
                taken.setdefault((level, y if level else x), []).append(span)
        for spans in taken.values():
            assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))


def test_the_same_graph_always_looks_the_same() -> None:
    assert laid_out(*some_graph(7)) == laid_out(*some_graph(7))


DRAWN = """\
┌─────────┐
│  start  │
└───┬─────┘
    │ ▲
    ▼ ┊
 ┌────┴──┐
 │  ask  │
 └───┬───┘
     ┊
     ▼
 ┌───────┐
 │  pay  │
 └───┬───┘
     │
     ▼
 ┌───────┐
 │  end  │
 └───────┘
"""


def test_a_graph_with_a_loop_on_the_terminal() -> None:
    assert as_text(laid_out(REVIEW, LOOP)) + "\n" == DRAWN


def test_without_unicode_a_drawing_is_plain_ascii() -> None:
    plain = as_text(laid_out(REVIEW, LOOP), unicode=False)
    assert plain.isascii()
    assert [plain.count(letter) for letter in "v^"] == [3, 1]
    assert ":" in plain


def test_wide_letters_and_long_names_stay_inside_their_boxes() -> None:
    lines = as_text(laid_out({"a": "日本語", "b": "x" * 60}, {("a", "b"): False})).splitlines()
    assert "│ 日本語  │" in lines[1]
    assert f"│ {'x' * 60}  │" in lines[6]


def test_a_list_names_what_may_follow_each_node() -> None:
    assert as_list(REVIEW, LOOP).splitlines() == [
        "start", "  → ask", "ask", "  → pay (sometimes)", "  → start (sometimes)", "pay", "  → end", "end",
    ]  # fmt: skip


def test_an_svg_holds_every_node_and_edge_and_takes_names_as_text() -> None:
    labels = {**REVIEW, "pay": "</text><script>"}
    root = fromstring(as_svg(laid_out(labels, LOOP), "a & b"))
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in root.iter(f"{name}text")] == list(labels.values())
    paths = [path.get("class") for path in root.iter(f"{name}path")]
    assert (paths.count(None), paths.count("sometimes"), paths.count("head")) == (2, 2, 4)


def test_a_png_has_the_size_of_the_layout_and_ink_on_it() -> None:
    layout = laid_out(REVIEW, LOOP)
    image = Image.open(BytesIO(as_png(layout)))
    assert image.size == ((layout.width * 9 + 24) * 2, (layout.height * 16 + 24) * 2)
    assert len(set(image.convert("L").tobytes())) > 3


def test_a_graph_that_is_too_large_for_a_png_is_refused() -> None:
    names = {f"n{number}": "n" for number in range(200)}
    chain = dict.fromkeys(pairwise(names), False)
    with pytest.raises(ConfigurationError, match="--format svg"):
        as_png(laid_out(names, chain))
