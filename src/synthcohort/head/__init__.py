"""The rest of the head, round the brain: `draw_head` for one person, `add_head` for the maps of N."""

from .layers import add_head, draw_head

__all__ = ["add_head", "draw_head"]
