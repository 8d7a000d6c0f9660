"""The one real anatomy, the ICBM152 average: derived once, kept on disk, sampled anywhere."""

from .lattice import HIGH, LOW
from .maps import BRAIN_MAPS, HEAD_MAPS, PUSH_MAPS, Template, template_file, white_matter_points

__all__ = ["BRAIN_MAPS", "HEAD_MAPS", "HIGH", "LOW", "PUSH_MAPS", "Template", "template_file", "white_matter_points"]
