"""Who is in the cohort: the table of people, the truth about them, and their images.

    cohort = Cohort(seed=0, device="cpu")
    cohort.people(range(100))                          # what a student may use
    cohort.truth(range(100))                           # kept apart
    batch = cohort.render(range(8), spacing=4.0)       # images, labels, mask, affine, volumes

A subject is a pure function of (seed, kind, number, settings). Numbers are any integers; those of
"brain", "tumor" and "head" are different people. On a CPU every person is computed alone by one
thread (several people at a time), so an image is the same to the last bit alone, in any batch, in
any order, in any process and with any number of threads on the same kind of processor. Elsewhere,
and on a GPU, where people are computed together, it agrees to rounding (about 1e-4 of the signal
of white matter).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial

import pandas as pd
import torch

from . import outcome, tumor
from .geometry import Grid, template_points
from .head import add_head
from .person import Settings, draw_person, stack_people
from .scanner import ALL_TISSUES, CONTRASTS, LESIONS, SITES, acquire
from .template import BRAIN_MAPS, FINE_BELOW, HEAD_MAPS, Template
from .tissue import TISSUES, brain_tissues
from .vessels import enhancing_structures

FIELD_OF_VIEW = {"brain": (160, 192, 160), "tumor": (160, 192, 160), "head": (192, 224, 192)}  # mm
GPU_CHUNK = 16  # people per batch on a GPU
MOST_WORKERS = 8  # people at a time on a CPU; Python itself allows no more


@dataclass
class Batch:
    """What `Cohort.render` returns, all on the device of the cohort.

    images (N, C, X, Y, Z) float32; labels (N, X, Y, Z) uint8: tumor regions (1 edema,
    2 non-enhancing, 3 enhancing) for tumors, tissues (1 fluid, 2 cortex, 3 deep grey, 4 white,
    5 hyperintensity) for brains, the brain mask for heads; mask (N, X, Y, Z) uint8, the brain with
    its fluid; affine (4, 4) float64, voxel to RAS mm; volumes, name -> (N,) ml, and `fraction`, the
    brain without fluid over the whole.
    """

    numbers: list[int]
    contrasts: tuple[str, ...]
    images: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    affine: torch.Tensor
    volumes: dict[str, torch.Tensor]


class Cohort:
    """People who never lived: a table, a truth and images, functions of the numbers asked."""

    def __init__(self, seed: int = 0, device: torch.device | str = "cpu", **settings):
        """`settings` are the fields of Settings. Raises TypeError for an unknown one."""
        unknown = set(settings) - {field.name for field in fields(Settings)}
        if unknown:
            raise TypeError(f"Unknown settings: {', '.join(sorted(unknown))}.")
        self.seed = int(seed)
        self.settings = Settings(**settings)
        self.device = torch.device(device)
        self.template = Template(self.device)

    def people(self, numbers: Iterable[int], kind: str = "brain") -> pd.DataFrame:
        """What a student may use, one row per subject: number, subject_id, age (years), sex, site.

        Tumor subjects have the clinical table and the observed survival of `outcome` as well.
        Raises ValueError for an unknown kind.
        """
        rows = []
        for number in numbers:
            person = draw_person(self.seed, kind, number, self.settings)
            row = {
                "number": person["number"],
                "subject_id": f"{kind}-{person['number']:04d}",
                "age": round(person["age"], 1),
                "sex": "M" if person["male"] else "F",
                "site": SITES[person["site"]].name,
            }
            if kind == "tumor":
                row.update(outcome.clinical(person)["observed"])
            rows.append(row)
        return pd.DataFrame(rows)

    def truth(self, numbers: Iterable[int], kind: str = "brain") -> pd.DataFrame:
        """What nobody could know of a real person, one row per subject; columns depend on the kind.

        biological_age and the age of each region in years, the inner constants of ageing, and for
        tumors their geometry (mm, ml), the hazard and the uncensored survival.
        """
        rows = []
        for number in numbers:
            person = draw_person(self.seed, kind, number, self.settings)
            row = {"number": person["number"], "biological_age": person["biological"]}
            row |= {f"{n.replace(' ', '_')}_age": a for n, a in person["regions"].items()}
            row |= {name: person[name] for name in
                    ("ventricle", "horn", "contrast_loss", "iron", "lesion")}  # fmt: skip
            if kind == "tumor":
                row.update(tumor.describe(person["tumor"]))
                row.update(outcome.clinical(person)["hidden"])
            rows.append(row)
        return pd.DataFrame(rows)

    def grid(self, kind: str, spacing: float) -> Grid:
        """The image grid of a kind at a voxel size in mm: 40 x 48 x 40 for brains at 4 mm."""
        if not 0.5 <= spacing <= 16:
            raise ValueError(f"spacing must be 0.5 to 16 mm, not {spacing}.")
        return Grid(tuple(round(length / spacing) for length in FIELD_OF_VIEW[kind]), spacing)

    @torch.no_grad()
    def tissues(self, numbers: Iterable[int], kind: str = "brain", spacing: float = 4.0):
        """Soft maps of one chunk of people: (dict of (N, X, Y, Z), people, MNI points)."""
        people = [draw_person(self.seed, kind, number, self.settings) for number in numbers]
        grid = self.grid(kind, spacing)
        person = stack_people(people, self.settings, self.device)
        push = None
        if kind == "tumor":
            push = partial(tumor.push, [p["tumor"] for p in people], person)
        points = template_points(grid, person, self.template, push)
        step = 1 if spacing < FINE_BELOW else 2
        maps = self.template.sample(points, BRAIN_MAPS, step)
        tissues = brain_tissues(maps, points, person, spacing)
        if kind == "tumor":
            tumor.grow(tissues, maps, people, person, grid)
        tissues["vessel"] = enhancing_structures(maps, tissues, person, spacing)
        if kind == "head":
            around = self.template.sample(points, HEAD_MAPS)
            add_head(tissues, maps | around, people, spacing)
        return tissues, people, points

    def render(
        self,
        numbers: Iterable[int],
        kind: str = "brain",
        spacing: float = 4.0,
        contrasts: tuple[str, ...] = ("t1",),
    ) -> Batch:
        """Images, labels and volumes of the people asked for; see Batch.

        Raises ValueError for no numbers, an unknown kind or contrast, or a spacing outside 0.5 to
        16 mm.
        """
        numbers = [int(number) for number in numbers]
        unknown = set(contrasts) - set(CONTRASTS)
        if unknown:
            raise ValueError(f"Unknown contrasts: {', '.join(sorted(unknown))}.")

        def work(chunk):
            tissues, people, _ = self.tissues(chunk, kind, spacing)
            images = [acquire(tissues, people, contrast, spacing) for contrast in contrasts]
            images = torch.stack(images, 1)
            if kind == "head":
                images = images * tissues["seen"][:, None]
            labels = labels_of(tissues, kind)
            return images, labels, mask_of(tissues), volumes_of(tissues, spacing)

        parts = self._in_chunks(work, numbers)
        images, labels, masks = (torch.cat([part[k] for part in parts]) for k in range(3))
        volumes = {name: torch.cat([part[3][name] for part in parts]) for name in parts[0][3]}
        affine = self.grid(kind, spacing).affine()
        return Batch(numbers, tuple(contrasts), images, labels, masks, affine, volumes)

    def tissue_maps(
        self, numbers: Iterable[int], kind: str = "head", spacing: float = 4.0
    ) -> tuple[tuple[str, ...], torch.Tensor]:
        """Names and soft tissue maps (N, maps, X, Y, Z) uint8, 255 for a voxel full of a tissue.

        A bank of these is what domain randomisation needs: contrasts are drawn anew for every
        batch (Billot et al., SynthSeg, Med Image Anal 86:102789, 2023). The last maps are `vessel`,
        `residual` (the texture of the real T1, 0.5 is none), `mask`, and `seen` for heads.
        """

        def work(chunk):
            tissues, _, _ = self.tissues(chunk, kind, spacing)
            tissues["residual"] = tissues["residual"] / 0.24 + 0.5
            if "fluid_outside" in tissues:
                tissues["csf"] = tissues["csf"] + tissues.pop("fluid_outside")
            last = [name for name in ("vessel", "residual", "mask", "seen") if name in tissues]
            names = (*(name for name in ALL_TISSUES if name in tissues), *last)
            maps = torch.stack([tissues[name] for name in names], 1)
            return names, (maps.clamp(0, 1) * 255).round().to(torch.uint8)

        parts = self._in_chunks(work, [int(number) for number in numbers])
        return parts[0][0], torch.cat([maps for _, maps in parts])

    def _in_chunks(self, work: Callable, numbers: list[int]) -> list:
        """Results of `work` on chunks of the numbers, in order.

        On a CPU a chunk is one person and one thread, with as many people at a time as torch may
        use threads: twice as fast as several threads per person, and the bits do not depend on it.
        """
        if not numbers:
            raise ValueError("numbers must hold at least one subject.")
        if self.device.type != "cpu":
            starts = range(0, len(numbers), GPU_CHUNK)
            return [work(numbers[start : start + GPU_CHUNK]) for start in starts]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(min(threads, MOST_WORKERS)) as pool:
                return list(pool.map(work, [[number] for number in numbers]))
        finally:
            torch.set_num_threads(threads)


def labels_of(tissues: dict, kind: str) -> torch.Tensor:
    """Hard labels (N, X, Y, Z) uint8 from soft maps; see Batch."""
    if kind == "head":
        return mask_of(tissues)
    if kind == "tumor":
        edema, core, enhancing = tissues["edema"], tissues["core"], tissues["enhancing"]
        classes = [1 - edema - core - enhancing, edema, core, enhancing]
    else:
        fluid = tissues["ventricle"] + tissues["csf"]
        classes = [1 - tissues["mask"], fluid, *(tissues[n] for n in TISSUES[2:])]
    best, labels = classes[0], torch.zeros_like(classes[0], dtype=torch.uint8)
    for k, share in enumerate(classes[1:], 1):  # an argmax, ten times faster than over a stack
        labels = torch.where(share > best, k, labels)
        best = torch.maximum(best, share)
    return labels.to(torch.uint8)


def mask_of(tissues: dict) -> torch.Tensor:
    """Brain with its fluid, (N, X, Y, Z) uint8; zero where the image was cut off."""
    mask = tissues["mask"] > 0.5
    if "seen" in tissues:
        mask = mask & (tissues["seen"] > 0)
    return mask.to(torch.uint8)


def volumes_of(tissues: dict, spacing: float) -> dict[str, torch.Tensor]:
    """Volumes in ml, (N,), and the whole-brain fraction, from the soft maps."""
    ml = spacing**3 / 1000
    total = {n: tissues[n].flatten(1).sum(1) * ml for n in (*TISSUES, *LESIONS) if n in tissues}
    tiv = tissues["mask"].flatten(1).sum(1) * ml
    brain = sum(total[name] for name in total if name not in ("ventricle", "csf"))
    grey, white = total["cortex"] + total["deep"], total["white"] + total["lesion"]
    total.update(tiv=tiv, brain=brain, fraction=brain / tiv, grey=grey, white=white)
    return total
