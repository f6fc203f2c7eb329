"""Assignment: which agent does which subtask. Pure functions over a roster, nothing else.

    assign             chooses an agent for each subtask by a strategy: capability, auction, peer, load
    reputation_after   how an outcome changes what all think of an agent
    trust_after        how it changes what one agent thinks of another

Nothing depends on the order of agents or subtasks; equal agents are told apart by load, then by name.
`docs/explanation/agreement.md` says which strategy to use when.
"""

from .assigning import STRATEGIES, assign
from .standing import reputation_after, trust_after

__all__ = ["STRATEGIES", "assign", "reputation_after", "trust_after"]
