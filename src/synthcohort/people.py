"""One human as numbers (`Person`), and N of them on a device (`People`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Generator, Tensor

from .fields import per_person, stream

KINDS = ("brain", "tumor", "head")
MOST_SITES = 5  # scanners that exist, see scanner.SITES


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The knobs of a cohort. Every strength and standard deviation may be zero, which switches its effect off."""

    sites: int = 3  # number of scanners in use, 1 to 5
    rotation: float | None = None  # degrees, standard deviation; None: by kind, see person.toml
    shift: float | None = None  # mm, standard deviation; None: by kind
    size: float = 0.026  # relative standard deviation of the linear size within a sex
    warp: float = 0.85  # strength of the random warp
    folding: float = 1.0  # strength of a person's own sulci
    biological: float = 2.0  # years by which a brain is older or younger than its age
    regional: float = 5.0  # years by which a region is older or younger than its brain
    anatomy: float = 1.0  # strength of the variation that has nothing to do with age
    noise: float = 1.0  # strength of the image noise
    accelerated: float = 0.0  # years added to every biological age: a group of patients
    age_range: tuple[float, float] | None = None  # years; None: by kind

    def __post_init__(self) -> None:
        if not 1 <= self.sites <= MOST_SITES:
            raise ValueError(f"sites must be 1 to {MOST_SITES}, not {self.sites}.")
        for name in (field.name for field in fields(Settings) if field.name != "accelerated"):
            if isinstance(value := getattr(self, name), (int, float)) and value < 0:
                raise ValueError(f"{name} must not be negative.")


@dataclass(frozen=True)
class Aging:
    """What age, and variation beside it, has done to one brain: the inner constants of the tissues."""

    ventricle: float  # mm by which the walls of the ventricles were pushed away
    horn: float  # mm, radius of the temporal horn
    sulcus: Mapping[str, float]  # region -> shift of the fluid threshold (fraction of fluid)
    lost: Mapping[str, float]  # region -> mm lost to the ventricles
    myelination: Mapping[str, float]  # region -> shift of the boundary of white matter (fraction of white)
    contrast_loss: float  # relative loss of the gray-white contrast of T1
    iron: float  # relative darkening of the basal ganglia on T2 and FLAIR
    lesion: float  # load of white-matter hyperintensities, on the logit scale of brain.tissues


@dataclass(frozen=True)
class Glioma:
    """The geometry of one tumor: its first entries along FOCI are those of the main focus."""

    center: Tensor  # (FOCI, 3) MNI mm
    core: Tensor  # (FOCI,) radius of the core, mm
    edema: Tensor  # (FOCI,) radius to which edema reaches, mm
    active: Tensor  # (FOCI,) 1 for a focus that exists, else 0
    stretch: Tensor  # (FOCI, 3) of the ellipsoid, volume kept
    push: float  # mm by which the brain gives way at most
    rim: float  # mm, width of the enhancing rim
    necrosis: float  # 0 to 1: how much of the core within the rim is dead
    enhancing: bool

    @property
    def foci(self) -> int:
        return int(self.active.sum())


@dataclass(frozen=True)
class Head:
    """What lies round one brain, and how the head was scanned."""

    layers: Tensor  # (5,) mm: fluid, skull table, whole skull, scalp, temporal muscle
    air: float  # size of the air spaces, 1 is usual
    fatness: float  # of face and neck, 0.25 is usual
    slice_mm: float | None  # thick slices, None for those of the site
    slice_axis: int  # 1, 2 or 3: across the slices, axis of (N, X, Y, Z)
    crop: tuple[float, float]  # fractions of the height cut off below and above


@dataclass(frozen=True)
class Person:
    """One human who never lived, as numbers. `stream(purpose)` gives the randomness of everything else."""

    seed: int
    kind: str
    number: int
    age: float  # years
    male: bool
    site: int  # index into scanner.SITES
    biological_age: float  # years
    regional_ages: Mapping[str, float]  # region -> years
    aging: Aging
    rotation: Tensor  # (3,) radians, about x, y, z
    shift: Tensor  # (3,) mm
    scale: Tensor  # (3,) size against MNI
    vessel: Tensor  # (3,) uptake of large vessels, veins, dura
    noise: float  # strength of the image noise, 1 is usual
    glioma: Glioma | None = None
    head: Head | None = None

    def stream(self, purpose: str) -> Generator:
        """The random stream of this person for one purpose, at its start."""
        return stream(self.seed, self.kind, self.number, purpose)


@dataclass(frozen=True)
class People:
    """N people of one kind, on a device. Pose stays on the CPU, where its matrices are made."""

    persons: tuple[Person, ...]
    settings: Settings
    device: torch.device

    def __len__(self) -> int:
        return len(self.persons)

    def __iter__(self) -> Iterator[Person]:
        return iter(self.persons)

    @property
    def kind(self) -> str:
        return self.persons[0].kind

    def column(self, values: Iterable[float]) -> Tensor:
        """One number per person, (N, 1, 1, 1) float32 on the device."""
        return per_person(list(values), self.device)

    def streams(self, purpose: str) -> list[Generator]:
        """The streams of all people for one purpose, at their start."""
        return [person.stream(purpose) for person in self]

    def scanned(self, site: int | None = None, noise: float | None = None) -> People:
        """The same people in another scanner: index into scanner.SITES, strength of the noise; None: as they were."""
        places = [(p, p.site if site is None else site, p.noise if noise is None else noise) for p in self]
        return replace(self, persons=tuple(replace(person, site=s, noise=n) for person, s, n in places))
