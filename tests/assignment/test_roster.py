"""Roster files: what is read, and how mistakes are named."""

import pytest

from adjourn.errors import InvalidRoster
from adjourn.nodes.roster import MAX_BYTES, load_roster, read_roster
from adjourn.state.roster import Agent, Roster
from adjourn.state.values import json_problem

GOOD = """\
# The council of a small company
agents:
  - name: ada
    role: |
      A careful security engineer.
      Asks what can go wrong first.
    capabilities: [security, sql, security]
    weight: 2
    accuracy: 0.9
    trust: {bo: 0.8}
  - {name: bo, capabilities: [law], capacity: 3, cost: 1.5, time: 60}
"""


def test_a_roster_is_read_from_yaml_and_from_json(tmp_path):
    (tmp_path / "roster.yaml").write_text(GOOD)
    roster = load_roster(tmp_path / "roster.yaml")
    assert [agent.name for agent in roster.agents] == ["ada", "bo"]
    assert roster["ada"].capabilities == ("security", "sql")
    assert roster["ada"].role == "A careful security engineer.\nAsks what can go wrong first.\n"
    assert (roster["bo"].weight, roster["bo"].load, roster["bo"].accuracy) == (1.0, 0.0, None)
    (tmp_path / "roster.json").write_text(roster.model_dump_json())
    assert load_roster(str(tmp_path / "roster.json")) == roster


def test_agents_are_json_safe_and_come_back_the_same():
    roster = read_roster(GOOD)
    data = roster.model_dump(mode="json")
    assert json_problem(data) is None
    assert Roster.model_validate(data) == roster


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agents:\n  - name: ada\n    capabilites: [sql]\n",
         "r.yaml: line 3, `agents[0].capabilites`: there is no such key; did you mean `capabilities`?."),
        ("agents:\n  - name: ada\n    colour: red\n", "there is no such key; known: accuracy, active, capabilities"),
        ("agent:\n  - name: ada\n", "line 1, `agent`: there is no such key; did you mean `agents`?"),
        ("agents:\n  - name: ada\n    weight: -2\n", "line 3, `agents[0].weight`: input should be greater than"),
        ("agents:\n  - name: ada\n    weight: .nan\n", "line 3, `agents[0].weight`: input should be a finite number"),
        ("agents:\n  - name: ada\n    weight: '2'\n", "line 3, `agents[0].weight`: input should be a valid number"),
        ("agents:\n  - name: ada\n    weight: yes\n", "line 3, `agents[0].weight`: input should be a valid number"),
        ("agents:\n  - name: ada\n\n    accuracy: 1.5\n", "line 4, `agents[0].accuracy`: input should be less than"),
        ("agents:\n  - name: ada\n    capacity: 0\n", "line 3, `agents[0].capacity`: input should be greater than"),
        ("agents:\n  - name: ada\n    capabilities: sql\n", "line 3, `agents[0].capabilities`: input should be a list"),
        ("agents:\n  - name: ada\n    capabilities:\n      - sql\n      - no\n",
         "line 5, `agents[0].capabilities[1]`: input should be a valid string"),
        ("agents:\n  - name: ada\n  - role: lawyer\n", "line 3, `agents[1].name`: this key is missing"),
        ("agents:\n  - name: no\n", "line 2, `agents[0].name`: input should be a valid string"),
        ("agents:\n  - name: ' '\n", "line 2, `agents[0].name`: string should match pattern"),
        ("agents:\n  - ada\n", "line 2, `agents[0]`: input should be a mapping with the keys of an agent"),
        ("agents:\n  - name: ada\n  - name: ada\n", "line 3, `agents[1].name`: each agent needs a name of its own"),
        ("agents:\n  - name: ada\n    trust: {bo: 1}\n", "line 3, `agents[0].trust.bo`: there is no agent bo"),
        ("agents:\n  - name: ada\n    weight: 0\n", "line 3, `agents[0].weight`: the weights of all agents are 0"),
        ("agents: []\n", "line 1, `agents`: a roster needs at least one agent"),
        ("agents:\n  - name: ada\n    name: bo\n", "line 3: the key `name` is there already in line 2. Keep one."),
        ("agents: [\n", "line 2: this is no YAML: did not find expected node content"),
        ("a: 1\n---\nb: 2\n", "line 2: this is no YAML: but found another document"),
        ("agents: !!python/object:os.system x\n", "line 1: this is no YAML: could not determine a constructor"),
        ("? [1]\n: 2\n", "line 1: this is no YAML: found unhashable key"),
        ("[" * 3_000, "r.yaml is nested too deeply"),
        ("", "must be a mapping with the key `agents`, a list of agents; this is empty"),
        ("- name: ada\n", "this is a list"),
        ("x: \x00\n", "r.yaml is no YAML: unacceptable character"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_key(text, says):
    with pytest.raises(InvalidRoster) as caught:
        read_roster(text, source="r.yaml")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file():
    with pytest.raises(InvalidRoster) as caught:
        read_roster("agents:\n  - name: ada\n    weigth: 1\n    cost: -1\n  - name: 7\n")
    assert [part.split(",")[0] for part in str(caught.value).removeprefix("roster: ").split("; line")] == [
        "line 3", " 4", " 5",
    ]  # fmt: skip


def test_a_bomb_of_aliases_does_not_go_off():
    layers = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    with pytest.raises(InvalidRoster) as caught:
        read_roster("\n".join([*layers, "agents: *a39"]))
    assert len(str(caught.value)) < 20_000


def test_files_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(InvalidRoster, match="No such file"):
        load_roster(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("agents: [ä]".encode("latin-1"))
    with pytest.raises(InvalidRoster, match="is not UTF-8 text"):
        load_roster(tmp_path / "latin.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(InvalidRoster, match="more than 1000000 bytes"):
        load_roster(tmp_path / "huge.yaml")
    with pytest.raises(InvalidRoster, match="cannot be read"):
        load_roster(tmp_path)


def test_an_agent_can_be_made_in_code():
    agent = Agent(name="ada", capabilities=["sql"], active=3, capacity=2)
    assert (agent.capabilities, agent.load) == (("sql",), 1.0)
