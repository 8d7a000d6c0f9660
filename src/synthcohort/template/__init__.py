"""The one real anatomy, the ICBM152 average: derived once, kept on disk, sampled anywhere.

lattice  the grid of 1 mm, and shapes drawn on it
brain    the maps of the brain
head     the maps round the brain
maps     the file that keeps them, and `Template`, which samples them
"""

from .lattice import HIGH, LOW
from .maps import BRAIN_MAPS, HEAD_MAPS, PUSH_MAPS, Template, template_file, white_matter_points

__all__ = ["BRAIN_MAPS", "HEAD_MAPS", "HIGH", "LOW", "PUSH_MAPS", "Template", "template_file", "white_matter_points"]
