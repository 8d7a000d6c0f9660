"""Who is in the cohort: the table of people, the truth about them, and their images.

A person is a pure function of (seed, kind, number, settings). Numbers are any integers; those of "brain", "tumor" and
"head" are different people. On a CPU every person is computed alone by one thread, so an image is the same to the last
bit in any batch, order or process and with any number of threads on the same kind of processor. Elsewhere, and on a
GPU, where people are computed together, it agrees to about 1e-4.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import pandas as pd
import torch
from torch import Tensor

from .brain.tissues import brain_tissues, enhancing_structures
from .glioma import growth
from .glioma.outcome import clinical
from .grid import Grid
from .head import add_head
from .people import People, Settings
from .person import draw_person
from .scanner import SITES, acquire
from .template import BRAIN_MAPS, HEAD_MAPS, sample_template
from .tissue_maps import CONTRASTS, PackedMaps, TissueMaps
from .warping import template_points

FIELD_OF_VIEW = {"brain": (160, 192, 160), "tumor": (160, 192, 160), "head": (192, 224, 192)}  # mm
SPACINGS = (0.5, 16.0)  # mm
FINE_BELOW = 1.5  # mm; only images with smaller voxels are sampled from the 1-mm maps
GPU_CHUNK = 16  # people per batch on a GPU
MOST_WORKERS = 8  # people at a time on a CPU; Python itself allows no more

Result = TypeVar("Result")


@dataclass(frozen=True)
class Batch:
    """What `Cohort.render` returns, all on the device of the cohort. Labels are

    tumor  0 elsewhere, 1 edema, 2 non-enhancing, 3 enhancing
    brain  0 elsewhere, 1 fluid, 2 cortex, 3 deep gray, 4 white, 5 hyperintensity
    head   0 elsewhere, 1 brain with its fluid"""

    numbers: list[int]
    contrasts: tuple[str, ...]
    images: Tensor  # (N, C, X, Y, Z) float32, white matter on T1 is about 1
    labels: Tensor  # (N, X, Y, Z) uint8
    mask: Tensor  # (N, X, Y, Z) uint8, the brain with its fluid
    affine: Tensor  # (4, 4) float64, voxel to RAS mm
    volumes: dict[str, Tensor]  # name -> (N,) ml; `fraction` is the brain without fluid over the whole


@dataclass(frozen=True)
class Cohort(Settings):
    """People who never lived: a table, a truth and images, functions of the numbers asked. The members of Settings are
    keywords: `Cohort(0, sites=5)`; TypeError for an unknown one, ValueError for a wrong one."""

    seed: int = 0
    device: torch.device | str = "cpu"

    def people(self, numbers: Iterable[int], kind: str = "brain") -> pd.DataFrame:
        """What a student may use, a row per person: number, subject_id, age (years), sex, site; with a tumor the
        clinical table and the observed survival of `glioma.outcome` too. Raises ValueError for an unknown kind."""
        rows = []
        for person in self.draw(numbers, kind):
            name = {"number": person.number, "subject_id": f"{kind}-{person.number:04d}"}
            plain = {"age": round(person.age, 1), "sex": "M" if person.male else "F", "site": SITES[person.site].name}
            rows.append({**name, **plain, **(asdict(clinical(person)[0]) if person.glioma else {})})
        return pd.DataFrame(rows)

    def truth(self, numbers: Iterable[int], kind: str = "brain") -> pd.DataFrame:
        """What nobody could know of a real person, a row per person: biological_age and the age of each region in
        years, the inner constants of aging, for tumors their geometry (mm, ml), the hazard and the uncensored survival.
        """
        rows = []
        for person in self.draw(numbers, kind):
            ages = {f"{name.replace(' ', '_')}_age": age for name, age in person.regional_ages.items()}
            inner = {name: value for name, value in vars(person.aging).items() if isinstance(value, float)}
            tumor = growth.describe(person.glioma) | asdict(clinical(person)[1]) if person.glioma else {}
            rows.append({"number": person.number, "biological_age": person.biological_age, **ages, **inner, **tumor})
        return pd.DataFrame(rows)

    def draw(self, numbers: Iterable[int], kind: str = "brain") -> People:
        """The people of these numbers, for `tissues`. Raises ValueError for an unknown kind."""
        persons = tuple(draw_person(self.seed, kind, number, self) for number in numbers)
        return People(persons, self, torch.device(self.device))

    def grid(self, kind: str, spacing: float) -> Grid:
        """The image grid of a kind at a voxel size in mm: 40 x 48 x 40 for brains at 4 mm."""
        if not SPACINGS[0] <= spacing <= SPACINGS[1]:
            raise ValueError(f"spacing must be {SPACINGS[0]} to {SPACINGS[1]:g} mm, not {spacing}.")
        x, y, z = (round(length / spacing) for length in FIELD_OF_VIEW[kind])
        return Grid((x, y, z), spacing)

    def points(self, people: People, spacing: float) -> Tensor:
        """Where each voxel of each person lies in the template, (N, X, Y, Z, 3), MNI mm."""
        push = (lambda points: growth.push(people, points)) if people.kind == "tumor" else None
        return template_points(self.grid(people.kind, spacing), people, push)

    @torch.no_grad()
    def tissues(self, people: People, spacing: float = 4.0) -> TissueMaps:
        """Soft maps of people who are computed together; `scanner.acquire` makes images of them."""
        points = self.points(people, spacing)
        maps = sample_template(points, BRAIN_MAPS, 1 if spacing < FINE_BELOW else 2)
        tissues = brain_tissues(maps, points, people, spacing)
        if people.kind == "tumor":
            tissues = growth.grow(tissues, maps["depth"], people, self.grid(people.kind, spacing))
        tissues = replace(tissues, vessel=enhancing_structures(maps, tissues, people, spacing))
        if people.kind == "head":
            tissues = add_head(tissues, maps | sample_template(points, HEAD_MAPS), people, spacing)
        return tissues

    def render(
        self, numbers: Iterable[int], kind: str = "brain", spacing: float = 4.0, contrasts: tuple[str, ...] = ("t1",)
    ) -> Batch:
        """Images, labels and volumes of the people asked for, see Batch. Raises ValueError for no numbers, an unknown
        kind or contrast, or a spacing outside 0.5 to 16 mm."""
        numbers = [int(number) for number in numbers]
        if unknown := set(contrasts) - set(CONTRASTS):
            raise ValueError(f"Unknown contrasts: {', '.join(sorted(unknown))}.")

        def work(chunk: list[int]) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
            people = self.draw(chunk, kind)
            tissues = self.tissues(people, spacing)
            images = torch.stack([acquire(tissues, people, contrast, spacing) for contrast in contrasts], 1)
            if tissues.seen is not None:
                images = images * tissues.seen[:, None]
            return images, tissues.labels(kind), tissues.brain_mask(), tissues.volumes(spacing)

        images, labels, masks, volumes = zip(*self._in_chunks(work, numbers), strict=True)
        together = {name: torch.cat([part[name] for part in volumes]) for name in volumes[0]}
        arrays = (torch.cat(images), torch.cat(labels), torch.cat(masks), self.grid(kind, spacing).affine)
        return Batch(numbers, tuple(contrasts), *arrays, together)

    def tissue_maps(self, numbers: Iterable[int], kind: str = "head", spacing: float = 4.0) -> PackedMaps:
        """Names and packed tissue maps (N, maps, X, Y, Z) uint8; see TissueMaps.pack. `randomize` takes them."""
        numbers = [int(number) for number in numbers]
        parts = self._in_chunks(lambda chunk: self.tissues(self.draw(chunk, kind), spacing).pack(), numbers)
        return parts[0][0], torch.cat([maps for _, maps in parts])

    def _in_chunks(self, work: Callable[[list[int]], Result], numbers: list[int]) -> list[Result]:
        """Results of `work` on chunks, in order. On a CPU one person and thread each: twice as fast, the same bits."""
        if not numbers:
            raise ValueError("numbers must hold at least one person.")
        if torch.device(self.device).type != "cpu":
            return [work(numbers[start : start + GPU_CHUNK]) for start in range(0, len(numbers), GPU_CHUNK)]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(min(threads, MOST_WORKERS)) as pool:
                return list(pool.map(work, [[number] for number in numbers]))
        finally:
            torch.set_num_threads(threads)
