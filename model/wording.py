"""How messages say what is counted."""

__all__ = ["counted"]


def counted(count: int, noun: str) -> str:
    """Return how many of something there are: ``1 dataset``, ``2 datasets``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
