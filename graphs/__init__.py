"""How steps connect: one file per workflow, wiring only."""

from typing import Final

# name → where the graph is defined, below this package; loaded only to run, resume or draw it
BUILT_IN: Final = {
    "adaptive": "adaptive:builder",
    "council": "council:builder",
    "delegation": "delegation:builder",
    "review": "review:builder",
}
