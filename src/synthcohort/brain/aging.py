"""How a brain ages: published curves, the regions, and the constants that reproduce the curves.

Targets are what the literature reports; the KNOTS are inner constants (mm of push, thresholds) with which the cohort
meets them. `scripts/calibrate_cohort.py` solves for the knots; a test compares the means of a cohort with the targets.

- Whole brain: nWBV = 0.8472 + 5.04e-4 a - 2.28e-5 a^2, our fit to OASIS-1, 316 people aged 18 to 94 without dementia
  (Marcus et al., J Cogn Neurosci 19:1498, 2007); sd at one age 0.02 (young) to 0.03. Its slope at 75 y is -0.39 %/y;
  Fotenos et al. (Neurology 64:1032, 2005) measured -0.45 %/y longitudinally in nondemented old age.
- Ventricles: 16.2 ml in the twenties, 24.9 ml in the forties (218 Koreans, Neurosci Lett 395:155, 2006); +20 % per
  decade, steeper from the fifth (men) or sixth (women) on (107 people, J Am Geriatr Soc 40:225, 1992); 15 ml (sd 6) at
  60 to 69 y, 40 ml (sd 24) beyond (21 people, Rev Bras Neurol). Studies differ: our targets run between them.
- White-matter hyperintensities: median 0.25 ml below 45 y, 2.0 ml at a mean age of 64, 7.3 ml (men) and 12.8 ml (women)
  beyond 85 (14,876 people; de Kort et al., Neurobiol Aging, 2025). Between them we interpolate.
- Regions: hippocampus -0.85 %/y over adult life (meta-analysis, Fraser et al., NeuroImage 112:364, 2015). Caudate,
  cerebellum, hippocampus and association cortices shrink, primary visual cortex does not (Raz et al., Cereb Cortex
  15:1676, 2005). We keep that order; the sizes are ours.
- Gray-white contrast of T1 falls with age (Salat et al., NeuroImage 48:21, 2009); the size is ours.
- Intracranial volume: men 1,469 ml, women 1,289 ml, ratio 1.14 (Matsumae et al., J Neurosurg 84:982, 1996).
"""

import tomllib
from functools import partial
from pathlib import Path

import numpy as np

TABLE = tomllib.loads((Path(__file__).parent / "aging.toml").read_text("utf-8"))
KNOT_AGES, VENTRICLE_ML, LESION_ML, KNOTS = (TABLE[name] for name in ("age", "ventricle_ml", "lesion_ml", "knots"))
TIV_RATIO_MEN_WOMEN = 1.14
TIV_MEAN_ML = 1500.0
HEAD_SCALE = 0.929  # solved like KNOTS: MNI space is about 26 % too large in volume

# Cortical regions: how fast their sulci open, against the average of the cortex.
SULCUS_RATE = dict(frontal=1.3, parietal=1.0, occipital=0.5, temporal=1.1, sylvian=1.5, cerebellum=0.7)
REGIONS = (*SULCUS_RATE, "hippocampus", "callosum", "basal ganglia")


def whole_brain_fraction(age: float) -> float:
    """Brain volume over intracranial volume at `age` years (OASIS-1 fit, see above)."""
    return 0.8472 + 5.04e-4 * age - 2.28e-5 * age**2


def _curve(age: float, name: str) -> float:
    """Linear between the knots, and on beyond the last ones."""
    knots = KNOTS[name]
    slope = (knots[-1] - knots[-2]) / 10
    return float(np.interp(age, KNOT_AGES, knots)) + max(0.0, age - KNOT_AGES[-1]) * slope


def sulcus_shift(age: float, region: str) -> float:
    """Shift of the fluid threshold in the sulci of one region (fraction of fluid, no unit)."""
    young = _curve(20.0, "sulcus")
    return young + SULCUS_RATE[region] * (_curve(age, "sulcus") - young)


def horn_radius(age: float) -> float:
    """Radius of the temporal horn in mm. Both, 45 mm long, gain 2.4 ml to 75 y, as much as the hippocampi lose."""
    return 1.0 + 0.030 * max(0.0, age - 20) + 0.045 * max(0.0, age - 60)


def myelination(age: float) -> float:
    """Shift of the gray-white boundary into the cortex (fraction of white): white matter grows until middle age."""
    return 0.16 / 60 * (min(age, 45.0) - 20)


def _since_20(age: float, per_year: float, more_beyond_60: float = 0.0) -> float:
    return per_year * (age - 20) + more_beyond_60 * max(0.0, age - 60)


# Functions of the age in years
ventricle_push = partial(_curve, name="ventricle")  # mm by which the ventricles grow
lesion_load = partial(_curve, name="lesion")  # median of hyperintense white matter, on the logit scale of `tissues`
callosum_loss = partial(_since_20, per_year=0.018, more_beyond_60=0.016)  # mm, from the under side of the callosum
caudate_loss = partial(_since_20, per_year=0.028)  # mm, from caudate and thalamus at the ventricles
iron = partial(_since_20, per_year=0.0030)  # relative darkening of the basal ganglia on T2, FLAIR; a third brightens T1
contrast_loss = partial(_since_20, per_year=0.30 / 60)  # relative loss of the gray-white contrast of T1
