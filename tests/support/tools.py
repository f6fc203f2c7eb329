"""Tools of agents that ask before they are used."""

from langchain_core.tools import tool

__all__ = ["pay", "send"]


@tool
def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount}"


@tool
def send(to: str) -> str:
    """Send a letter."""
    return f"sent to {to}"
