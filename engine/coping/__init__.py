"""Nodes that cope: what `adjourn.state.coping` asks for, done around nodes, calls of models and calls of tools.

    faults, backoff, loops, spending   the rules, as pure functions
    ledger, answers, turns, breakers   what is counted, kept, shared between processes, and refused at once
    place, bridge, calls               where a call is made, and what stands around it
    models, tools, nodes               how it gets there: LangChain's models and tools, LangGraph's nodes
    book                               which workflow copes how

A run whose workflow has no rules passes through none of it.
"""
