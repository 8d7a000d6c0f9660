"""Settings that must be in place before torch or a notebook's kernel starts."""

import os

import matplotlib

# One thread: results do not depend on the number of cores, and a busy machine does not stall.
os.environ.setdefault("OMP_NUM_THREADS", "1")
matplotlib.use("agg")  # no windows; here only, so that kernels keep the backend that students have
