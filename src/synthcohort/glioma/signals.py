"""What the parts of a glioma look like: the rows of the table of `scanner.signals` that belong to a tumor.

The cohort's scanner takes the means, and varies them from person to person; the variation for training draws anywhere
in the ranges. By eye, beside cases of BraTS, and following what radiology describes: a necrotic core is dark on T1 and
anything from dark to bright on FLAIR, a solid part without enhancement looks much like edema, hardly any tumor is only
a ring, and one in ten or so has bled.
"""

from ..tissue_maps import CONTRASTS, Signal

SIGNALS = {  # mean, low, high on CONTRASTS: t1, t1gd, t2, flair; `core` is the cohort's mixture of solid and necrosis
    "core":      ((0.42, 0.18, 0.76), (0.42, 0.18, 0.76), (1.02, 0.72, 1.35), (0.52, 0.15, 1.25)),
    "edema":     ((0.66, 0.54, 0.84), (0.66, 0.54, 0.84), (0.92, 0.72, 1.15), (1.06, 0.82, 1.35)),
    "enhancing": ((0.62, 0.45, 0.85), (1.35, 0.95, 1.75), (0.76, 0.55, 1.00), (0.86, 0.65, 1.20)),
    "solid":     ((0.58, 0.40, 0.76), (0.58, 0.40, 0.76), (0.96, 0.72, 1.20), (0.95, 0.65, 1.25)),
    "necrosis":  ((0.34, 0.18, 0.50), (0.34, 0.18, 0.50), (1.12, 0.90, 1.35), (0.58, 0.15, 1.00)),
    "blood":     ((1.05, 0.70, 1.40), (1.05, 0.70, 1.40), (0.65, 0.20, 1.10), (0.75, 0.30, 1.20)),
}  # fmt: skip
VARIED = ("edema", "enhancing", "solid", "necrosis", "blood")  # the parts of a varied tumor: `core` falls into three


def signal_of(part: str, contrast: str) -> Signal:
    """The signal of a part of a tumor. Raises KeyError for another part or contrast."""
    rows = dict(zip(CONTRASTS, SIGNALS[part], strict=True))
    return Signal(*rows[contrast])
