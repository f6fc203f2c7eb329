"""Voting: what agents answered becomes votes, and votes become an outcome. Pure functions, nothing else.

    read_vote     makes a vote of what an agent or a model answered; what cannot be read is an abstention
    abstention    makes the vote of an agent that failed, was too slow, or did not want to
    decide        counts votes by a rule: plurality, weighted, log_odds, unanimous, ranked
    agreed        whether an outcome is enough

Nothing here depends on the order of agents, and no tie is broken by it. Sums are exact: weights and accuracies are
taken as the decimal numbers that they are written as, so that what is equal on paper is a tie.
`docs/explanation/agreement.md` says which rule to use when.
"""

from .deciding import RULES, agreed, decide
from .reading import abstention, read_vote

__all__ = ["RULES", "abstention", "agreed", "decide", "read_vote"]
