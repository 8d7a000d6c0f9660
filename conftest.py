"""What must hold before torch or a notebook's kernel starts, for tests and notebooks alike."""

import os

import matplotlib
import psutil

# One thread: results do not depend on the number of cores, and a busy machine does not stall.
os.environ.setdefault("OMP_NUM_THREADS", "1")
matplotlib.use("agg")  # no windows; here only, so that kernels keep the backend that students have

GIGABYTES_OF_A_NOTEBOOK = 6  # of the largest, with its kernel


def pytest_xdist_auto_num_workers(config) -> int:
    """For `pytest -n auto`: as many files at a time as cores and memory allow."""
    cores = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    memory = psutil.virtual_memory().available / 1e9 / GIGABYTES_OF_A_NOTEBOOK
    return max(1, min(cores, allowed, int(memory)))
