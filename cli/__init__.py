"""The command `adjourn`.

Modules that are loaded to show help import nothing of the engine; commands import what they need when they run.
"""
