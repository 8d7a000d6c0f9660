"""How a brain ages: published curves, the regions, and the constants that reproduce the curves.

Targets and their sources stand in aging.toml, and so do the knots: inner constants (mm of push, thresholds) with which
the cohort meets them. `scripts/calibrate_cohort.py` solves for the knots; a test compares cohort and targets.
"""

from functools import partial

import numpy as np

from ..tables import constants

C = constants(__file__)
KNOTS: dict[str, list[float]] = C.knots
HEAD_SCALE: float = C.head_scale
REGIONS: tuple[str, ...] = (*C.sulcus_rate, "hippocampus", "callosum", "basal ganglia")


def whole_brain_fraction(age: float) -> float:
    """Brain volume over intracranial volume at `age` years."""
    constant, slope, bend = C.brain_fraction
    return constant + slope * age + bend * age**2


def _curve(age: float, name: str) -> float:
    """Linear between the knots, and on beyond the last ones."""
    knots = KNOTS[name]
    slope = (knots[-1] - knots[-2]) / (C.age[-1] - C.age[-2])
    return float(np.interp(age, C.age, knots)) + max(0.0, age - C.age[-1]) * slope


def sulcus_shift(age: float, region: str) -> float:
    """Shift of the fluid threshold in the sulci of one region (fraction of fluid, no unit)."""
    young = _curve(C.adult, "sulcus")
    return young + C.sulcus_rate[region] * (_curve(age, "sulcus") - young)


def horn_radius(age: float) -> float:
    """Radius of the temporal horn in mm."""
    return C.horn_mm + C.horn_per_year * max(0.0, age - C.adult) + C.horn_per_year_old * max(0.0, age - C.old)


def myelination(age: float) -> float:
    """Shift of the gray-white boundary into the cortex (fraction of white)."""
    return C.myelination_per_year * (min(age, C.myelination_ends) - C.adult)


def _grown(age: float, per_year: float, per_year_old: float = 0.0) -> float:
    return per_year * (age - C.adult) + per_year_old * max(0.0, age - C.old)


# Functions of the age in years; for units see the table.
ventricle_push = partial(_curve, name="ventricle")
lesion_load = partial(_curve, name="lesion")
callosum_loss = partial(_grown, per_year=C.callosum_per_year, per_year_old=C.callosum_per_year_old)
caudate_loss = partial(_grown, per_year=C.caudate_per_year)
iron = partial(_grown, per_year=C.iron_per_year)
contrast_loss = partial(_grown, per_year=C.contrast_loss_per_year)
