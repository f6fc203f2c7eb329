"""Plans on paper: order, cycles, critical path, the scheduler and its bounds. No database, no clock."""

import random
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjourn import InvalidPlan
from adjourn.nodes.delegation.agenda import Agenda, simulated
from adjourn.nodes.delegation.network import critical_path, cycles, graham_bound, lower_bound, network_of
from adjourn.nodes.delegation.plans import levels, load_plan, nested_plan, planned, read_plan
from benchmarks.plans import random_network

GRAPHS = 200


def plan(*subtasks, **more):
    return {"subtasks": [{"id": each} if isinstance(each, str) else each for each in subtasks], **more}


def needs(task_id, *before, **more):
    return {"id": task_id, "dependencies": list(before), **more}


# --- the bounds of the issue


def test_with_enough_capacity_a_plan_takes_as_long_as_its_critical_path():
    for number in range(GRAPHS):
        network = random_network(number)
        makespan, times = simulated(network, len(network.order))
        assert makespan <= 1.10 * network.length
        assert makespan == pytest.approx(network.length)
        for each, before in network.dependencies.items():
            assert times[each][0] >= max((times[other][1] for other in before), default=0.0)


@pytest.mark.parametrize("capacity", [1, 2, 4, 16])
def test_with_less_capacity_it_never_passes_grahams_bound_and_is_near_the_lower_bound(capacity):
    ratios = []
    for number in range(GRAPHS):
        network = random_network(number)
        makespan, times = simulated(network, capacity)
        least = lower_bound(network, capacity)
        assert least - 1e-9 <= makespan <= graham_bound(network, capacity) + 1e-9
        assert graham_bound(network, capacity) <= (2 - 1 / capacity) * least + 1e-9
        edges = sorted([(begin, 1) for begin, _ in times.values()] + [(end, -1) for _, end in times.values()])
        assert max_of_running_sum(edges) <= capacity
        ratios.append(makespan / least)
    assert median(ratios) <= 1.15


def max_of_running_sum(edges):
    running = most = 0
    for _, step in edges:
        running += step
        most = max(most, running)
    return most


def starts(network, done, running, capacity):
    """The rule, from nothing: of what is ready the longest path to the end first, as far as there is capacity."""
    place = {each: number for number, each in enumerate(network.order)}
    ready = [
        each
        for each in network.order
        if each not in done and each not in running and all(before in done for before in network.dependencies[each])
    ]
    ready.sort(key=lambda each: (-network.to_end[each], place[each]))
    return ready[: max(0, capacity - len(running))]


def test_the_agenda_starts_what_the_rule_says_whatever_happens():
    for number in range(40):
        network, chance = random_network(number, most=60), random.Random(number)
        capacity = chance.randint(1, 6)
        agenda = Agenda(network, (), (), capacity)
        done, running = set(), set()
        while True:
            expected = starts(network, done, running, capacity)
            chosen = agenda.start()
            assert chosen == expected
            running |= set(chosen)
            if not running:
                break
            ended = chance.choice(sorted(running))
            running.remove(ended)
            if chance.random() < 0.2:
                agenda.close(ended)
                agenda.again(ended)
            else:
                done.add(ended)
                agenda.complete(ended)
        assert done == set(network.order)


def test_what_nobody_has_time_for_holds_nothing_back():
    network = network_of({"a": [], "b": [], "c": []}, {"a": 3.0, "b": 2.0, "c": 1.0})
    agenda = Agenda(network, (), (), 2, lane=lambda each: each == "a")
    assert agenda.start(lambda each: each != "a") == ["b", "c"]
    agenda.complete("b")
    assert agenda.start() == ["a"]


def test_what_is_closed_does_not_start_when_its_dependencies_are_complete():
    network = network_of({"a": [], "b": ["a"], "c": ["b"], "d": ["a"]}, dict.fromkeys("abcd", 1.0))
    agenda = Agenda(network, (), {"b"}, 4)
    assert agenda.start() == ["a"]
    agenda.complete("a")
    assert agenda.start() == ["d"]


def test_the_critical_path_is_a_longest_one():
    network = network_of({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, {"a": 1, "b": 5, "c": 2, "d": 1})
    assert critical_path(network) == ["a", "b", "d"]
    for number in range(50):
        network = random_network(number)
        path = critical_path(network)
        assert sum(network.seconds[each] for each in path) == pytest.approx(network.length)
        assert all(one in network.dependencies[two] for one, two in pairwise(path))
    assert critical_path(network_of({}, {})) == []


# --- cycles


@given(st.integers(2, 12), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_each_cycle_that_is_named_is_one_and_none_is_missed(count, chance):
    dependencies = {f"t{n}": [f"t{m}" for m in range(count) if chance.random() < 0.15] for n in range(count)}
    found = cycles(dependencies)
    for cycle in found:
        for one, two in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert two in dependencies[one]
    if found:
        with pytest.raises(ValueError, match="cycle"):
            network_of(dependencies, dict.fromkeys(dependencies, 1.0))
    else:
        network_of(dependencies, dict.fromkeys(dependencies, 1.0))


# --- refused with names


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (plan(needs("a", "b"), needs("b", "a")), "a cycle, in which each waits for the next: a → b → a"),
        (plan(needs("a", "a")), "a → a"),
        (plan(needs("a", "reserch"), "research"), "'a' depends on 'reserch', which is not in the plan (did you mean"),
        (plan("a", "b", "a"), "the id 'a' is there 2 times"),
        (plan({"id": 7}), "`subtasks[0].id`: an id must be text; 7 is a int"),
        (plan({"id": None}), "None is a NoneType"),
        (plan({"id": "a", "dependencies": [1]}), "`subtasks[0].dependencies[0]`: an id must be text; 1 is a int"),
        (plan({"id": "a/b"}), "`subtasks[0].id`"),
        (plan({"id": ""}), "`subtasks[0].id`"),
        (plan({"id": "a", "depends": []}), "there is no such key; did you mean `dependencies`?"),
        (plan({"id": "a", "error_recovery_strategy": "pray"}), "'retry', 'reassign', 'skip', 'ask' or 'fail'"),
        (plan({"id": "a", "expected_seconds": float("nan")}), "should be a finite number"),
        (plan({"id": "a", "expected_seconds": -1}), "greater than or equal to 0"),
        (plan({"id": "a", "input_data": {"when": {1, 2}}}), "must be JSON-safe, and it.when is a set"),
        (plan(), "a plan needs at least one subtask"),
        ({"subtask": []}, "there is no such key; did you mean `subtasks`?"),
        ([], "must be a mapping with the key `subtasks`"),
        (plan(needs("a", plan=plan(needs("x", "y"), needs("y", "x")))), "`subtasks[0].plan.subtasks[0]`: a cycle"),
        (plan({"id": "a", "plan": plan("x"), "workflow": "w"}), "'a' has a plan and `workflow`; leave one of them out"),
        (plan({"id": "a", "plan": plan("x"), "agent": "b", "input_data": {"c": 1}}), "`input_data` and `agent`"),
        (plan({"id": "a", "workflow": "w", "timeout_seconds": 1}), "'a' has a workflow and `timeout_seconds`"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_carried_out_is_refused_with_names(given, says):
    with pytest.raises(InvalidPlan) as caught:
        read_plan(given)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("subtasks:\n  - id: a\n    dependencies: [b]\n", "p: line 3, `subtasks[0].dependencies[0]`: 'a' depends on"),
        ("subtasks:\n  - id: 7\n", "p: line 2, `subtasks[0].id`: an id must be text; 7 is a int"),
        ("subtasks:\n  - id: no\n", "False is a bool"),
        ("subtasks:\n  - id: a\n  - id: b\n  - id: a\n", "line 4, `subtasks[2].id`: the id 'a' is there 2 times"),
        ("subtasks:\n  - id: a\n    input_data: {day: 2026-01-01}\n", "put dates and times in quotes"),
        ("subtasks:\n  - {id: a, id: b}\n", "line 2: the key `id` is there already"),
        ("a: &x [*x]\n", "values once its aliases"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
         ), "values once its aliases are written out"),
        ("[" * 100_000, "nested too deeply"),
        ("{" * 1_000_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_a_text_is_refused_with_its_line(text, says):
    with pytest.raises(InvalidPlan) as caught:
        read_plan(text, source="p")
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(InvalidPlan, match="cannot be read: No such file"):
        load_plan(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InvalidPlan, match="is not UTF-8"):
        load_plan(tmp_path / "bad.yaml")


def test_ten_thousand_subtasks_are_read_and_scheduled_and_a_cycle_in_them_is_found():
    subtasks = [needs(f"t{n}", *([f"t{n - 1}", f"t{n // 2}"] if n > 1 else [])) for n in range(1, 10_001)]
    _, dependencies = planned(read_plan(plan(*subtasks)))
    network = network_of(dependencies, dict.fromkeys(dependencies, 1.0))
    assert simulated(network, 8)[0] == network.length == 10_000
    subtasks[0] = needs("t1", "t10000")
    with pytest.raises(InvalidPlan, match="t1 → t10000 → t5000 → .* → t4 → t3 → t1"):
        read_plan(plan(*subtasks))
    with pytest.raises(InvalidPlan, match="more than 20,000"):
        read_plan(plan(*(f"t{n}" for n in range(20_001))))


# --- nested plans


def test_a_nested_plan_takes_over_how_to_recover_and_counts_with_the_length_of_its_critical_path():
    inner = plan(needs("draft", expected_seconds=3), needs("check", "draft"), "beside", max_retries=5)
    given = plan(
        "collect",
        needs("report", "collect", plan=inner, max_retries=1),
        needs("again", plan=plan("x"), error_recovery_strategy=["retry", "skip"]),
        needs("send", "report"),
        error_recovery_strategy=["retry", "ask"],
    )
    subtasks, dependencies = planned(read_plan(given))
    assert dependencies == {"collect": [], "report": ["collect"], "again": [], "send": ["report"]}
    report = subtasks["report"]
    assert (report["expected_seconds"], report["plan"]["max_retries"], report["max_retries"]) == (4.0, 5, 1)
    assert report["plan"]["error_recovery_strategy"] == ["retry", "ask"]
    assert report["strategies"] == ["ask"], "its parts have been tried again"
    assert subtasks["again"]["strategies"] == ["retry", "skip"], "it says so itself"
    again, _ = planned(nested_plan(report))
    assert again["check"]["strategies"] == ["retry", "ask"]
    assert levels(read_plan(given)) == 2
