"""Agents as data: who they are, what they can do, and how they fared. JSON-safe through `model_dump(mode="json")`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["Agent", "Roster"]

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]

# sorted, so that the same agent is the same JSON in every process; a list will do, as files have no tuples
Names = Annotated[tuple[Name, ...], Strict(False), AfterValidator(lambda names: tuple(sorted(set(names))))]


class Agent(BaseModel):
    """One agent of a roster.

    All but the name may be left out. What is not known is None; the formulas of the strategies say what they take for it.
    A cost and a time that are left out are 0: the agent is free and at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name = Field(description="Its name, unique in the roster.")
    role: str = Field(default="", description="Its persona: who it is and how it works, in words.")
    capabilities: Names = Field(default=(), description="What it can do.")
    weight: Amount = Field(default=1.0, description="What its vote weighs under `weighted`.")
    accuracy: Share | None = Field(default=None, description="How often its votes are right, for `log_odds`.")
    capacity: int = Field(default=1, ge=1, description="How many subtasks it can have in hand at once.")
    active: int = Field(default=0, ge=0, description="How many it has in hand now.")
    cost: Amount = Field(default=0.0, description="What it asks for a subtask, in any unit that all agents share.")
    time: Amount = Field(default=0.0, description="How long it takes for a subtask, in seconds.")
    cpu: Share | None = Field(default=None, description="How busy its processor is.")
    memory: Share | None = Field(default=None, description="How full its memory is.")
    complexity: Share | None = Field(default=None, description="The complexity of subtasks that suits it best.")
    performance: Share | None = Field(default=None, description="How well it did lately.")
    reputation: Share = Field(default=0.5, description="How well it did over time, as all agents see it.")
    trust: dict[Name, Share] = Field(default_factory=dict, description="Other agent → how far this one trusts it.")

    @property
    def load(self) -> float:
        """How much of its capacity is taken, 0-1."""
        return min(1.0, self.active / self.capacity)


class Roster(BaseModel):
    """All agents of a council.

    Args:
        agents: At least one; names are unique, and trust is in agents of this roster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: tuple[Agent, ...]

    @model_validator(mode="after")
    def _agents_fit(self) -> Roster:
        if not self.agents:
            raise _mistake("a roster needs at least one agent", "agents")
        seen: set[str] = set()
        for index, agent in enumerate(self.agents):
            if agent.name in seen:
                raise _mistake(f"each agent needs a name of its own; {agent.name} is taken", "agents", index, "name")
            seen.add(agent.name)
        for index, agent in enumerate(self.agents):
            for peer in sorted(set(agent.trust) - seen):
                raise _mistake(f"there is no agent {peer} in the roster", "agents", index, "trust", peer)
        if not any(agent.weight for agent in self.agents):
            raise _mistake("the weights of all agents are 0; give at least one a weight above 0", "agents", 0, "weight")
        return self

    def __getitem__(self, name: str) -> Agent:
        return {agent.name: agent for agent in self.agents}[name]


def _mistake(message: str, *where: str | int) -> PydanticCustomError:
    """Return an error that says where in the roster it is, as Pydantic's own do."""
    return PydanticCustomError("roster", "{said}", {"said": message, "where": where})
