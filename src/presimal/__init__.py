"""Helpers of the workshop *Medical AI and deep learning for precision imaging*.

Read the modules from top to bottom of this list; each imports only from those above it:

    compute     where a computation runs: device, precision, threads, seeds
    training    the seven steps of training, once
    evaluation  scores with the intervals that belong to them
    figures     pictures drawn in more than one notebook, and their common style
    exercises   checks that answer "not tried yet", "correct", or the first thing that is off
    cli/        the command `presimal`
"""

import warnings

__version__ = "0.1.0"

# fastai (2.8) prints this one warning at import, about its own use of torch; nothing a student can act on.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)
