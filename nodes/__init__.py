"""What a step does: factories for analysis, validation, human review, execution and finalisation.

Beside them the rules that steps of several agents share: `voting`, `assignment`, `roster` and `conflicts`.
"""
