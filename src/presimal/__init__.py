"""Helpers of the workshop *Medical AI and deep learning for precision imaging*.

From top to bottom; each module imports only from those above it, and from the package `synthcohort`:

    compute      where a computation runs: device, precision, seeds
    resampling   from one voxel grid to another: a scan onto the grid of a network, and back
    data/        the one door to data; behind it splits, checks, layouts of real sets, downloads
    networks/    the networks that notebooks have built first, and their weights
    training     the seven steps of training, once
    radiomics    numbers that describe a region of an image
    evaluation/  how good is it, and how sure are we?
    inference/   the shipped networks, for one's own scans
    figures      the style of all figures, and how they are shown
    exercises    checks that answer "not tried yet", "correct", or the first thing that is off
    cli/         the command `presimal`
"""

import warnings

__version__ = "0.1.0"

# fastai (2.8) prints this one warning at import, about its own use of torch; nothing a student can act on.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)
