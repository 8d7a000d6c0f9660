"""Helpers of the workshop *Medical AI and deep learning for precision imaging*.

Read the modules from top to bottom of this list; each imports only from those above it:

    compute     where a computation runs: device, precision, threads, seeds
    storage     files that are there completely or not at all
    cohort/     people who never lived: generated brains, tumors and heads, and their files
    splits      who trains and who examines: the same people on every machine
    checks      data that would spoil a training is refused
    layouts     the layouts of real data sets, read into one table
    downloads   the real data sets, got when told so
    data        the one door to data
    resampling  from one voxel grid to another: a scan onto the grid of a network, and back
    networks/   the networks that notebooks have built first, and their weights
    training    the seven steps of training, once
    radiomics   numbers that describe a region of an image
    evaluation/ how good is it, and how sure are we?
    inference/  the shipped networks for one's own scans: skull stripping, tumor segmentation
    figures     pictures drawn in more than one notebook, and their common style
    exercises   checks that answer "not tried yet", "correct", or the first thing that is off
    cli/        the command `presimal`
"""

import warnings

__version__ = "0.1.0"

# fastai (2.8) prints this one warning at import, about its own use of torch; nothing a student can act on.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)
