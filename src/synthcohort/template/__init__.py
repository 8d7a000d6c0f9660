"""The one real anatomy, the ICBM152 average: derived once, kept on disk, sampled at any point in millimeters."""

import threading
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import trilinear
from ..storage import data_folder, digest, load_tensors, lock, save_tensors, write_atomically
from .brain import HIGH, LOW, derive_brain
from .head import derive_head

BRAIN_MAPS = ("gm", "wm", "csf", "mask", "deep", "residual", "phi", "depth", "horn", "vessel")
PUSH_MAPS = ("push_x", "push_y", "push_z")
HEAD_MAPS = ("hull", "head", "skin", "eye", "lens", "orbit", "nerve", "air", "face", "cord", "temple")
ONE_AT_A_TIME = threading.Lock()  # so that two threads do not make the same table
NOTICE = (Path(__file__).parent / "NOTICE.txt").read_text("utf-8")


def template_file(step: int) -> Path:
    """Path of the maps of `step` mm (1 or 2), derived if not there or damaged. FileNotFoundError without nilearn's."""
    path = data_folder() / "template" / f"icbm152-{digest(Path(__file__).parent)}-{step}mm.safetensors"
    if load_tensors(path, ("gm",)) is None:
        with lock(path):
            if load_tensors(path, ("gm",)) is None:  # nobody else has made it meanwhile
                write_atomically(path.parent / "LICENSE-ICBM152.txt", NOTICE.encode())
                _derive(path, fine=step == 1)
    return path


def _derive(path: Path, fine: bool) -> None:
    about = {"source": "ICBM152 2009a symmetric", "notice": NOTICE}
    brain, mask = derive_brain()
    if fine:
        save_tensors(path, {name: torch.from_numpy(brain[name]).half() for name in BRAIN_MAPS}, **about)
    coarse = {name: _halved(values) for name, values in brain.items()}
    del brain  # half a gigabyte, before the head needs as much
    coarse |= {name: _halved(values) for name, values in derive_head(mask).items()}
    save_tensors(path.with_name(path.name.replace("-1mm", "-2mm")), coarse, **about)


def _halved(values: np.ndarray) -> Tensor:
    """Means over 2 x 2 x 2 voxels, float16."""
    return F.avg_pool3d(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None], 2)[0, 0].half()


def read_template(names: Iterable[str], step: int) -> list[Tensor]:
    """Whole maps, float32, in voxels of `step` mm: 1 or 2; the first voxel begins at LOW."""
    maps = load_tensors(template_file(step), names)
    assert maps is not None, "template_file has just looked at it"
    return [values.float() for values in maps.values()]


@lru_cache(maxsize=8)
def _table(names: tuple[str, ...], step: int, device: torch.device) -> Tensor:
    """Rows of `names` for every voxel, float32."""
    maps = F.avg_pool3d(torch.stack(read_template(names, min(step, 2))), max(1, step // 2))
    return maps.flatten(1).T.contiguous().to(device)


def sample_template(points: Tensor, names: tuple[str, ...], step: int = 2) -> dict[str, Tensor]:
    """Maps at points (N, X, Y, Z, 3) in MNI mm, name -> (N, X, Y, Z), from voxels of `step` mm: 1, 2 or 4."""
    x, y, z = ((high - low) // step for low, high in zip(LOW, HIGH, strict=True))
    origin = points.new_tensor(LOW) + (step - 1) / 2  # a voxel of 2 mm is the mean of two of 1 mm
    with ONE_AT_A_TIME:
        table = _table(names, step, points.device)
    values = trilinear(table, (x, y, z), (points - origin) / step)
    return dict(zip(names, values.unbind(-1), strict=True))
