"""Files that are there completely or not at all, made by one process at a time, and known by what made them."""

import ast
import errno
import hashlib
import os
import secrets
import tomllib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache, lru_cache
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

DATA_VARIABLE = "PRESIMAL_DATA"  # names the folder that holds all data
CHECKSUM = "checksum"  # the entry of a safetensors header that holds it
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ELOOP)


class DataError(Exception):
    """Data that cannot be made, got or used. The message is a sentence: what is wrong, and the remedy."""


def data_folder() -> Path:
    """Where everything that can be made again is kept: `PRESIMAL_DATA`, or the user's cache."""
    if folder := os.path.expanduser(os.environ.get(DATA_VARIABLE, "")):
        if folder.startswith("~"):
            raise DataError(f"{DATA_VARIABLE} is {folder}, but there is no such user: set it to a folder of your own.")
        return Path(folder)
    import pooch

    return Path(pooch.os_cache("presimal"))


def in_one_sentence(problem: Exception, path: Path) -> Exception:
    """A DataError where the disk is full or not ours to write; else `problem` itself."""
    number = getattr(problem, "errno", None)
    if number in DISK_FULL or "No space left" in str(problem):
        start = f"The disk of {path} is full: free some space and start again, which goes on from here"
        return DataError(f"{start}, or set {DATA_VARIABLE} to a folder on another disk.")
    if number in NOT_OURS:
        return DataError(f"{path} cannot be written: set {DATA_VARIABLE} to a folder of your own.")
    return problem


def lock(folder: Path) -> AbstractContextManager:
    """Hold the lock of a folder; waits, and says so, while another process holds it."""
    held = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        return held.acquire(timeout=0)
    except Timeout:
        print(f"{folder} is just being made: waiting for it.", flush=True)
        return held.acquire()


def write_atomically(path: Path, content: bytes) -> str:
    """Write a file in one move: what has its name is complete. Returns the SHA-256 of the content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with unfinished.open("xb") as file:  # a new file, never through a link that lies there
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return hashlib.sha256(content).hexdigest()


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> None:
    """Write tensors as safetensors, in one move, with a checksum of their content in the header."""
    tensors = {name: values.contiguous().cpu() for name, values in tensors.items()}
    write_atomically(path, save(tensors, {**metadata, CHECKSUM: _checksum(tensors)}))


def load_tensors(path: Path, names: Iterable[str] | None = None) -> dict[str, torch.Tensor] | None:
    """What `save_tensors` wrote, all or some of it; None if it is not there, or not as it was written."""
    try:
        found = path.stat()
        if not _intact(path, found.st_mtime_ns, found.st_size):
            return None
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in names or file.keys()}
    except (OSError, SafetensorError):
        return None


@lru_cache(maxsize=16)
def _intact(path: Path, _changed: int, _size: int) -> bool:
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get(CHECKSUM) == _checksum({name: file.get_tensor(name) for name in file.keys()})


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    content = hashlib.blake2b(digest_size=16)
    for name, values in sorted(tensors.items()):
        content.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        content.update(values.flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


def digest(folder: Path, *settings: object, without: tuple[str, ...] = ()) -> str:
    """Twelve hexadecimal digits of settings, and of the code and tables in a folder, but for subfolders `without`, and
    for comments, docstrings and layout: whoever rewords one keeps what was made."""
    return hashlib.sha256(f"{_code(folder, without)} {settings}".encode()).hexdigest()[:12]


@cache
def _code(folder: Path, without: tuple[str, ...]) -> str:
    names = sorted(f.relative_to(folder) for kind in ("*.py", "*.csv", "*.toml", "*.json") for f in folder.rglob(kind))
    return repr([(name.as_posix(), _meaning(folder / name)) for name in names if name.parts[0] not in without])


def _meaning(file: Path) -> str:
    source = file.read_text("utf-8")
    if file.suffix != ".py":
        return str(tomllib.loads(source)) if file.suffix == ".toml" else source
    code = ast.parse(source)
    for node in ast.walk(code):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            del node.body[0]
    return ast.dump(code)
