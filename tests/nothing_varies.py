"""The randomization with every knob off, for tests that turn one on (`replace(NONE, noise=0.1)`), and a generator."""

from dataclasses import fields

import torch

from synthcohort.randomization import Randomization

NONE = Randomization(**{field.name: 0 for field in fields(Randomization)} | {"tumors": False, "slice_mm": 7.0})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
