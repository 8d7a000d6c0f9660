"""What the parts of a glioma look like: signals against white matter on T1, mean and range over patients.

The cohort's scanner takes the means, and varies them from person to person; the variation for training draws anywhere
in the ranges. By eye, beside cases of BraTS, and following what radiology describes: a necrotic core is dark on T1 and
anything from dark to bright on FLAIR, a solid part without enhancement looks much like edema, hardly any tumor is only
a ring, and one in ten or so has bled. `core` is the mixture of solid tumor and necrosis that the cohort draws.
"""

from ..tissue_maps import Signal

Row = dict[str, Signal]

SIGNALS: dict[str, Row] = {
    "core": {
        "t1": Signal(0.42, 0.18, 0.76),
        "t1gd": Signal(0.42, 0.18, 0.76),
        "t2": Signal(1.02, 0.72, 1.35),
        "flair": Signal(0.52, 0.15, 1.25),
    },
    "edema": {
        "t1": Signal(0.66, 0.54, 0.84),
        "t1gd": Signal(0.66, 0.54, 0.84),
        "t2": Signal(0.92, 0.72, 1.15),
        "flair": Signal(1.06, 0.82, 1.35),
    },
    "enhancing": {
        "t1": Signal(0.62, 0.45, 0.85),
        "t1gd": Signal(1.35, 0.95, 1.75),
        "t2": Signal(0.76, 0.55, 1.00),
        "flair": Signal(0.86, 0.65, 1.20),
    },
}
# The parts into which `core` falls when a tumor is varied.
PARTS: dict[str, Row] = {
    "solid": {
        "t1": Signal(0.58, 0.40, 0.76),
        "t1gd": Signal(0.58, 0.40, 0.76),
        "t2": Signal(0.96, 0.72, 1.20),
        "flair": Signal(0.95, 0.65, 1.25),
    },
    "necrosis": {
        "t1": Signal(0.34, 0.18, 0.50),
        "t1gd": Signal(0.34, 0.18, 0.50),
        "t2": Signal(1.12, 0.90, 1.35),
        "flair": Signal(0.58, 0.15, 1.00),
    },
    "blood": {
        "t1": Signal(1.05, 0.70, 1.40),
        "t1gd": Signal(1.05, 0.70, 1.40),
        "t2": Signal(0.65, 0.20, 1.10),
        "flair": Signal(0.75, 0.30, 1.20),
    },
}
VARIED = ("edema", "enhancing", "solid", "necrosis", "blood")  # the parts of a varied tumor


def signal_of(part: str, contrast: str) -> Signal:
    """The signal of a part of a tumor. Raises KeyError for another part or contrast."""
    return (SIGNALS | PARTS)[part][contrast]
