"""Files that are there completely or not at all, made by one process at a time."""

import errno
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class DataError(Exception):
    """Data that cannot be made, got or used. The message is a sentence: what, and the remedy."""


def in_one_sentence(problem: Exception, path: Path) -> Exception:
    """A DataError where the disk is full or not ours to write; else `problem` itself."""
    number = getattr(problem, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(problem):
        return DataError(
            f"The disk of {path} is full: free some space and start again, which goes on from "
            "here, or set PRESIMAL_DATA to a folder on another disk."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return DataError(f"{path} cannot be written: set PRESIMAL_DATA to a folder of your own.")
    return problem


@contextmanager
def alone(folder: Path):
    """Hold the lock of a folder; waits, and says so, while another process holds it."""
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another process is making {folder}: waiting for it.", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write(path: Path, content: bytes) -> str:
    """Write a file in one move: what has its name is complete. Returns the content's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()
