"""How steps connect: one file per workflow, wiring only."""
