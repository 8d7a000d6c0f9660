"""Settings that must be in place before torch or a notebook's kernel starts."""

import os

# One thread: results do not depend on the number of cores, and a busy machine does not stall.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
