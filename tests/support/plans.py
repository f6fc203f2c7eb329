"""Random task graphs, always the same for a seed: those of the benchmark."""

from benchmarks.plans import random_network

__all__ = ["random_network"]
