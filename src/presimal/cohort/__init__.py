"""People who never lived: brains, tumors and whole heads with everything known about them."""

from .subjects import Batch, Cohort, Settings

__all__ = ["Batch", "Cohort", "Settings"]
