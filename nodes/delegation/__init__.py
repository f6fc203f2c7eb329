"""Delegation: a task in parts that depend on each other, done by agents, each part as soon as it can be.

    planning       makes the subtasks out of a plan             plans, planners
    execution      carries them out                             agenda, loop, agents
    recovery       says what becomes of those that failed
    human_review   asks people                                  asking
    compensation   undoes what was done when the whole failed
    consolidation  puts the results together

Each is a factory of a node; `graphs/delegation.py` shows how they connect. What they decide by are pure functions:
`network` (critical path, cycles, bounds), `agenda` (what starts now), `recovery.next_move`.
"""
