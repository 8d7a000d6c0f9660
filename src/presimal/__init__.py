"""Helpers of the workshop *Medical AI and deep learning for precision imaging*.

README.md lists the modules. In its order (data, training, evaluation, radiomics, figures, session, exercises, cli) each
imports only from those above it, and from the packages `brainscans` and `synthcohort`."""

import warnings

__version__ = "0.1.0"

# fastai (2.8) prints this one warning at import, about its own use of torch; nothing a student can act on.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)
