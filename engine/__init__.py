"""How a run is driven: the engine and what it shows."""
