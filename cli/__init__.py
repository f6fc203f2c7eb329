"""The command `adjourn`."""
