"""What a run knows: one TypedDict schema per workflow, and the data of questions and decisions."""
