"""The one real anatomy: derived once from the ICBM152 maps, kept on disk, sampled anywhere.

`Template.sample` reads the maps at arbitrary points in millimetres. It treats trilinear
interpolation as a weighted look-up of eight rows in a table (voxels, maps), which is several
times faster on a CPU than `grid_sample`, because the maps of one voxel lie side by side.
"""

import os
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .anatomy import HIGH, LOW

VERSION = 1  # raise whenever a derived map changes: old files are then ignored
BRAIN_MAPS = (
    "gm", "wm", "csf", "mask", "deep", "residual", "phi", "depth", "horn", "vessel",
)  # fmt: skip
PUSH_MAPS = ("push_x", "push_y", "push_z")
HEAD_MAPS = (
    "hull", "head", "skin", "eye", "lens", "orbit", "nerve", "air", "face", "cord", "temple",
)  # fmt: skip
FINE_BELOW = 1.5  # mm; only images with smaller voxels are sampled from the 1-mm maps
NOTICE = """\
The maps in this folder are derived from the ICBM 152 nonlinear symmetric 2009a templates:
Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological
Institute, McGill University. Permission to use, copy, modify, and distribute this software and
its documentation for any purpose and without fee is hereby granted, provided that the above
copyright notice appear in all copies. The authors and McGill University make no representations
about the suitability of this software for any purpose. It is provided "as is" without express or
implied warranty. The authors are not responsible for any data loss, equipment damage, property
loss, or injury to subjects or patients resulting from the use or misuse of this software package.
"""


def data_folder() -> Path:
    """Where everything that can be made again is kept: `PRESIMAL_DATA`, or the user's cache."""
    if os.environ.get("PRESIMAL_DATA"):
        return Path(os.environ["PRESIMAL_DATA"]).expanduser()
    import pooch

    return Path(pooch.os_cache("presimal"))


def template_file(step: int) -> Path:
    """Path of the cached maps with voxels of `step` mm, derived now if it does not exist yet.

    The file appears in one move when it is complete, so a second process that derives it at the
    same time does no harm. Raises FileNotFoundError if nilearn's maps are missing.
    """
    folder = data_folder() / "template"
    path = folder / f"icbm152-v{VERSION}-{step}mm.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "LICENSE-ICBM152.txt").write_text(NOTICE)
        _derive(folder, fine=step == 1)
    return path


def _derive(folder: Path, fine: bool) -> None:
    from .anatomy import derive_brain
    from .skull import derive_head

    brain, mask = derive_brain()
    coarse = {name: _shrunk(values) for name, values in brain.items()}
    if fine:
        full = {n: torch.from_numpy(np.ascontiguousarray(brain[n])).half() for n in BRAIN_MAPS}
        _save(full, folder / f"icbm152-v{VERSION}-1mm.safetensors")
        del full
    del brain  # half a gigabyte, before the head needs as much
    coarse |= {name: _shrunk(values) for name, values in derive_head(mask).items()}
    _save(coarse, folder / f"icbm152-v{VERSION}-2mm.safetensors")


def _shrunk(values: np.ndarray) -> torch.Tensor:
    """Means over 2 x 2 x 2 voxels, float16."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return F.avg_pool3d(tensor[None, None], 2)[0, 0].half()


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write under another name and rename, so that the file is complete as soon as it exists."""
    from safetensors.torch import save_file

    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, temporary, {"source": "ICBM152 2009a symmetric", "notice": NOTICE})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class Template:
    """The maps on one device, sampled at points in MNI millimetres."""

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = torch.device(device)
        self._tables: dict[tuple[tuple[str, ...], int], torch.Tensor] = {}
        self._lock = threading.Lock()

    def _table(self, names: tuple[str, ...], step: int) -> torch.Tensor:
        """Rows of `names` for every voxel, float32, on the device."""
        with self._lock:
            if (names, step) not in self._tables:
                self._tables[names, step] = self._read(names, step)
            return self._tables[names, step]

    def _read(self, names: tuple[str, ...], step: int) -> torch.Tensor:
        from safetensors import safe_open

        with safe_open(template_file(min(step, 2)), "pt") as file:
            maps = torch.stack([file.get_tensor(name) for name in names]).float()
        if step > 2:
            maps = F.avg_pool3d(maps, step // 2)
        return maps.flatten(1).T.contiguous().to(self.device)

    def sample(self, points: torch.Tensor, names: tuple[str, ...], step: int = 2):
        """Maps at points: (N, X, Y, Z, 3) in mm -> dict of (N, X, Y, Z). Outside: the border.

        `step` is the voxel size in mm of the maps to read: 1, 2 or 4.
        """
        shape = tuple((high - low) // step for low, high in zip(LOW, HIGH))
        values = trilinear(self._table(names, step), shape, self.to_index(points, step))
        return dict(zip(names, values.unbind(-1)))

    @staticmethod
    def to_index(points: torch.Tensor, step: int) -> torch.Tensor:
        """Voxel coordinates of points in mm; a 2-mm voxel is the mean of two 1-mm voxels."""
        origin = points.new_tensor(LOW) + (step - 1) / 2
        return (points - origin) / step


@lru_cache(maxsize=1)
def white_matter_points() -> torch.Tensor:
    """Places (M, 3) in mm, on the CPU, where a glioma can start: deep enough, off the midline."""
    from safetensors import safe_open

    with safe_open(template_file(2), "pt") as file:
        wm, depth, phi = (file.get_tensor(n)[::2, ::2, ::2].float() for n in ("wm", "depth", "phi"))
    index = ((wm > 0.5) & (depth > 11) & (phi > 4)).nonzero()
    points = index.float() * 4 + torch.tensor(LOW) + 0.5
    return points[(points[:, 0].abs() > 12) & (points[:, 2] > -25)]


def trilinear(
    table: torch.Tensor, shape: tuple[int, int, int], index: torch.Tensor
) -> torch.Tensor:
    """Rows of a volume of `shape`, interpolated at voxel coordinates.

    `table` is (voxels, C), or (N, voxels, C) with one volume per subject; `index` is
    (N, ..., 3) and the result (N, ..., C). Coordinates outside are moved to the border.
    """
    nx, ny, nz = shape
    flat = index.reshape(-1, 3)
    x, y, z = (flat[:, k].clamp(0, shape[k] - 1) for k in range(3))
    i, j, k = (a.to(torch.int32).clamp(max=n - 2) for a, n in zip((x, y, z), shape))
    base = (i * ny + j) * nz + k
    if table.dim() == 3:
        one = torch.arange(len(table), dtype=torch.int32, device=table.device) * table.shape[1]
        base = base + one.repeat_interleave(len(base) // len(table))
        table = table.flatten(0, 1)
    x, y, z = x - i, y - j, z - k
    z0 = 1 - z
    rows = base.new_empty(len(base), 8)
    weights = x.new_empty(len(base), 8)
    for corner, (dx, dy) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        face = (x if dx else 1 - x) * (y if dy else 1 - y)
        first = base + (dx * ny + dy) * nz
        rows[:, 2 * corner], rows[:, 2 * corner + 1] = first, first + 1
        weights[:, 2 * corner], weights[:, 2 * corner + 1] = face * z0, face * z
    values = F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")
    return values.unflatten(0, index.shape[:-1])
