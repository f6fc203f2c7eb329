"""Documents and programs to try adjourn with."""
