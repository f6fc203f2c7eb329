"""Work that changes its strategy when the numbers say so: the nodes of the workflow `adaptive`, each a factory.

choosing                  with which strategy to begin: the one with the best record
attempting                makes an attempt with the current strategy
measuring                 metrics, what of them is poor, and the record
adapting                  why to change, and to which strategy
finishing                 the result; good answers are kept
ask_person, take_answer   what people are asked, for `human_review`
Strategy, Task, Output    a way to attempt a task; shipped_strategies, Work, Part: those that ship, over your work
Rules                     reasons, remedies, thresholds; pure functions in `rules` and `records`
"""

from .adapting import adapting, after_measuring, choosing
from .attempting import attempting
from .finishing import finishing
from .measuring import Attempted, Measure, accuracy, completeness, measuring, response_time
from .people import after_answer, ask_person, take_answer
from .rules import Rules
from .shipped import shipped_strategies
from .strategies import Output, Strategy, StrategyLike, Task
from .work import Part, Work

__all__ = [
    "Attempted",
    "Measure",
    "Output",
    "Part",
    "Rules",
    "Strategy",
    "StrategyLike",
    "Task",
    "Work",
    "accuracy",
    "adapting",
    "after_answer",
    "after_measuring",
    "ask_person",
    "attempting",
    "choosing",
    "completeness",
    "finishing",
    "measuring",
    "response_time",
    "shipped_strategies",
    "take_answer",
]
