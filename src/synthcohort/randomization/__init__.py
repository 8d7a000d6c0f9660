"""Domain randomization: contrasts, structures, poses and artifacts drawn anew for every batch."""

from .images import randomize
from .settings import Randomization

__all__ = ["Randomization", "randomize"]
