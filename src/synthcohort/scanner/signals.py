"""The one table of tissue signals, read by the cohort's scanner and by the randomization alike.

Signals are relative to about 1 for white matter on T1, by eye beside IXI and BraTS: fluid is dark on T1 and FLAIR and
bright on T2, edema bright on T2 and FLAIR. The table knows the mean and the range over people of each tissue on each
contrast; the rows of a tumor stand in `glioma.signals`, those of brain and head here, with two standard deviations.
"""

import torch
from torch import Tensor

from ..fields import normal, uniform
from ..glioma.signals import signal_of
from ..people import Person
from ..tissue_maps import CONTRASTS, GLIOMA, OUTSIDE, TISSUES, Signal
from .sites import site_gain

PERSON_SD = 0.035  # relative, of every tissue from person to person
GROUP_SD = 0.08  # relative, of tumors and of what lies outside the brain, besides
CONTRAST_WEIGHT = 0.8  # of a person's contrast loss, taken from white matter on T1
NECROSIS = (0.7, 1.4)  # a core on FLAIR, against its mean: as dark as fluid in one person, gray in the next
IRON_ON_T1 = 3  # T1 gains a third of what iron takes from T2 and FLAIR
RESIDUAL_GAIN = {"t1": 0.81, "t1gd": 0.81, "t2": -0.71, "flair": -0.33}  # of the real T1 texture
VESSEL_GAIN = {"t1": 0.03, "t1gd": 1.35, "t2": -0.55, "flair": -0.08}

_MEANS = {  # on CONTRASTS: t1, t1gd, t2, flair
    "ventricle": (0.17, 0.17, 1.25, 0.14),
    "csf": (0.22, 0.23, 1.15, 0.22),
    "cortex": (0.60, 0.62, 0.64, 0.66),
    "deep": (0.73, 0.74, 0.52, 0.60),
    "white": (0.95, 0.95, 0.42, 0.52),
    "lesion": (0.72, 0.73, 0.78, 0.98),
    "bone": (0.10, 0.10, 0.06, 0.06),
    "marrow": (0.62, 0.68, 0.45, 0.42),
    "fat": (1.25, 1.25, 0.75, 0.72),
    "muscle": (0.50, 0.58, 0.32, 0.42),
    "eye": (0.22, 0.22, 1.20, 0.18),
    "lens": (0.45, 0.45, 0.35, 0.40),
    "air": (0.03, 0.03, 0.03, 0.03),
    "nerve": (0.75, 0.75, 0.45, 0.55),
}


def _signal(tissue: str, contrast: str) -> Signal:
    if tissue in GLIOMA:
        return signal_of(tissue, contrast)
    mean = _MEANS[tissue][CONTRASTS.index(contrast)]
    sd = (PERSON_SD**2 + GROUP_SD**2) ** 0.5 if tissue in OUTSIDE else PERSON_SD
    return Signal(mean, mean * (1 - 2 * sd), mean * (1 + 2 * sd))


SIGNALS = {contrast: {tissue: _signal(tissue, contrast) for tissue in TISSUES} for contrast in CONTRASTS}


def means(contrast: str) -> Tensor:
    """Mean signals (tissues,) in the order of TISSUES. Raises KeyError for an unknown contrast."""
    return torch.tensor([signal.mean for signal in SIGNALS[contrast].values()])


def draw_signals(person: Person, contrast: str) -> Tensor:
    """Signals (tissues,) of one person at one site on one contrast, in the order of TISSUES."""
    generator = person.stream(f"signal/{contrast}")
    factor = 1 + PERSON_SD * normal(generator, len(TISSUES))
    signal = means(contrast) * site_gain(person.site, contrast) * factor
    deep, white, cortex, core = (TISSUES.index(name) for name in ("deep", "white", "cortex", "core"))
    signal[core : core + len(GLIOMA)] *= 1 + GROUP_SD * normal(generator, len(GLIOMA))
    if contrast == "flair":
        low, high = NECROSIS
        signal[core] *= low + (high - low) * float(uniform(generator, 1))
    signal[-len(OUTSIDE) :] *= 1 + GROUP_SD * normal(generator, len(OUTSIDE))
    if contrast in ("t1", "t1gd"):
        signal[white] -= CONTRAST_WEIGHT * person.aging.contrast_loss * (signal[white] - signal[cortex])
        signal[deep] *= 1 + person.aging.iron / IRON_ON_T1
    else:
        signal[deep] *= 1 - person.aging.iron
    return signal
