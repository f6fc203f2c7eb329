"""Agents that agree: the nodes of the workflow `council`, each a factory that fits a graph of your own.

member, members_of       an agent: roster data and what acts for it (model, LangChain agent, graph, function)
decomposition            a task becomes subtasks
assignment               subtasks get agents
work                     agents work, all at the same time
comparison               do the results contradict each other?
resolution               those concerned argue once
consensus                drafts, then rounds of votes
aggregation, synthesis   one answer, with attributions and the dissent
remembrance              reputation and trust go to the store
ask_council, take_answer what people are asked, for `human_review`
"""

from .assigning import assignment
from .comparing import comparison
from .consensus import consensus
from .decomposition import Planner, decomposition
from .members import Act, Member, member, members_of
from .memory import remembrance
from .people import ask_council, take_answer
from .procedure import Procedure
from .resolving import resolution
from .rules import rule_agent
from .synthesis import aggregation, synthesis
from .work import work

__all__ = [
    "Act",
    "Member",
    "Planner",
    "Procedure",
    "aggregation",
    "ask_council",
    "assignment",
    "comparison",
    "consensus",
    "decomposition",
    "member",
    "members_of",
    "remembrance",
    "resolution",
    "rule_agent",
    "synthesis",
    "take_answer",
    "work",
]
