"""Domain randomisation of a batch. `settings` says how much; `images.randomise` does it, step by step."""

from .images import randomise
from .settings import Randomisation

__all__ = ["Randomisation", "randomise"]
