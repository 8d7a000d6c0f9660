"""Domain randomization of a batch. `settings` says how much may vary; `randomize` does it, step by step.

settings    every knob
contrasts   which signal each tissue gives, and the image that they make together
structures  what the generator does not know
poses       the head turned, stretched and bent
artifacts   what a scanner does to an image, and where its view ends
images      all of it, for one batch
"""

from .images import randomize
from .settings import Randomization

__all__ = ["Randomization", "randomize"]
