"""Stands in for synthcohort.storage and synthcohort.code_digest until they are there: the same names and meaning."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from presimal.cohort.files import generator_version
from presimal.storage import write


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors in one move, with a checksum of their content."""
    write(path, save(tensors, metadata | {"sha256": _digest(tensors)}))


def load_tensors(path: Path) -> dict[str, Tensor] | None:
    """The tensors of a file, in memory; None if it is missing or damaged."""
    try:
        with safe_open(path, "pt") as content:
            tensors = {name: content.get_tensor(name).clone() for name in content.keys()}
            intact = content.metadata()["sha256"] == _digest(tensors)
    except (OSError, SafetensorError, KeyError, TypeError):
        return None
    return tensors if intact else None


def code_digest(settings: dict) -> str:
    """A digest of the generator's code and of settings."""
    given = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(f"{generator_version()}{given}".encode()).hexdigest()[:16]
