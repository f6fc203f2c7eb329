"""What a step does: factories for analysis, validation, human review, execution and finalisation."""
