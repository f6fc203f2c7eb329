"""Analysts: functions that turn a text into structured results with a confidence for each."""
