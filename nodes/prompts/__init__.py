"""Prompts of the model-backed nodes, one file each."""
