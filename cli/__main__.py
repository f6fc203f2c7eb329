"""`python -m adjourn.cli`: the command, where the script is not on the path."""

from .main import main

main()
