"""Random task graphs, always the same for a seed; of the benchmark and of the tests."""

import random
from functools import cache

from adjourn.nodes.delegation.network import Network, network_of


@cache
def random_network(number: int, *, most: int = 300) -> Network:
    """Return the network of a seed: layered, sparse, dense and chain-like graphs take turns."""
    chance = random.Random(number)
    count = chance.randint(1, most)
    ids = [f"t{index}" for index in range(count)]
    reach = chance.choice([3, 10, 50, count])
    most_before = chance.choice([1, 2, 4, 8])
    dependencies = {
        each: [
            f"t{before}"
            for before in sorted(
                chance.sample(range(max(0, index - reach), index), min(index, reach, chance.randint(0, most_before)))
            )
        ]
        for index, each in enumerate(ids)
    }
    spread = chance.choice(["even", "wide", "same"])
    length = {"even": lambda: chance.uniform(0.5, 2), "wide": lambda: chance.paretovariate(1.5), "same": lambda: 1.0}
    chance.shuffle(ids)  # the order in which a plan is written says nothing
    return network_of({each: dependencies[each] for each in ids}, {each: length[spread]() for each in ids})
