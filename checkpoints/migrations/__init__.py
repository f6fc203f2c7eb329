"""Numbered SQL files that build the schema `adjourn`."""
