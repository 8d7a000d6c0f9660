"""Who is in the cohort: the table of people, the truth about them, and their images.

    cohort = Cohort(seed=0, device="cpu")
    cohort.people(range(100))                          # what a student may use
    cohort.truth(range(100))                           # kept apart
    batch = cohort.render(range(8), spacing=4.0)       # images, labels, mask, affine, volumes

A subject is a pure function of (seed, kind, number, settings). Numbers are any integers; those of
"brain", "tumor" and "head" are different people. On a CPU people are computed one by one, so an
image is the same to the last bit alone, in any batch, in any order and in any process with the
same number of threads; on a GPU they are computed together and agree to about 1e-4.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial

import pandas as pd
import torch

from . import ageing, outcome, tumor
from .fields import normal, stream, uniform
from .geometry import Grid, template_points
from .head import add_head, draw_head
from .scanner import CONTRASTS, LESIONS, SITES, acquire
from .template import BRAIN_MAPS, FINE_BELOW, HEAD_MAPS, Template
from .tissue import TISSUES, brain_tissues
from .vessels import enhancing_structures

KINDS = ("brain", "tumor", "head")
FIELD_OF_VIEW = {"brain": (160, 192, 160), "tumor": (160, 192, 160), "head": (192, 224, 192)}  # mm
# Defaults that depend on the kind: rotation (degrees) and shift (mm), standard deviations. Brains
# and tumors come registered to a template, as IXI and BraTS do after preprocessing; heads do not.
POSE = {"brain": (2.0, 1.5), "tumor": (3.0, 2.0), "head": (9.0, 8.0)}
TURN = (1.0, 0.5, 0.7)  # nodding varies most, then shaking, then tilting
GPU_CHUNK = 16  # people per batch on a GPU


@dataclass(frozen=True)
class Settings:
    """The knobs of a cohort. Every standard deviation may be zero."""

    sites: int = 3  # number of scanners in use, 1 to len(SITES)
    rotation: float | None = None  # degrees; None: by kind, see POSE
    shift: float | None = None  # mm; None: by kind
    size: float = 0.026  # relative standard deviation of the linear size within a sex
    warp: float = 1.0  # strength of the random warp
    folding: float = 1.0  # strength of a person's own sulci
    biological: float = 2.5  # years by which a brain is older or younger than its age
    regional: float = 8.0  # years by which a region is older or younger than its brain
    anatomy: float = 1.0  # variation that has nothing to do with age (ventricles, sulci)
    noise: float = 1.0  # strength of the image noise
    accelerated: float = 0.0  # years added to every biological age: a group of patients
    age_range: tuple[float, float] | None = None  # years; None: by kind

    def __post_init__(self):
        if not 1 <= self.sites <= len(SITES):
            raise ValueError(f"sites must be 1 to {len(SITES)}, not {self.sites}.")


@dataclass
class Batch:
    """What `Cohort.render` returns, all on the device of the cohort.

    images (N, C, X, Y, Z) float32; labels (N, X, Y, Z) uint8: tumor regions (1 edema,
    2 non-enhancing, 3 enhancing) for tumors, tissues (1 fluid, 2 cortex, 3 deep grey, 4 white,
    5 hyperintensity) for brains, the brain mask for heads; mask (N, X, Y, Z) uint8, the brain with
    its fluid; affine (4, 4) float64, voxel to RAS mm; volumes, name -> (N,) ml.
    """

    numbers: list[int]
    contrasts: tuple[str, ...]
    images: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    affine: torch.Tensor
    volumes: dict[str, torch.Tensor]


class Cohort:
    """People who never lived: a table, a truth, and images, each a function of the numbers asked."""

    def __init__(self, seed: int = 0, device: torch.device | str = "cpu", **settings):
        """`settings` are the fields of Settings. Raises TypeError for an unknown one."""
        unknown = set(settings) - {field.name for field in fields(Settings)}
        if unknown:
            raise TypeError(f"Unknown settings: {', '.join(sorted(unknown))}.")
        self.seed = int(seed)
        self.settings = Settings(**settings)
        self.device = torch.device(device)
        self.template = Template(self.device)

    # ---- who

    def _person(self, kind: str, number: int) -> dict:
        """Everything about one person that is a number, and `stream(purpose)` for the rest."""
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
        settings = self.settings
        draw: Callable = partial(stream, self.seed, kind, number)
        z = lambda purpose, n=1: normal(draw(purpose), n)  # noqa: E731
        age = _draw_age(kind, uniform(draw("age"), 3), settings.age_range)
        male = bool(uniform(draw("sex"), 1) < (0.58 if kind == "tumor" else 0.45))
        site = int(uniform(draw("site"), 1) * settings.sites)
        biological = age + settings.accelerated + settings.biological * float(z("biological"))
        biological = min(max(biological, 15.0), 100.0)
        years = z("regions", len(ageing.REGIONS)) * settings.regional
        regions = {n: biological + float(y) for n, y in zip(ageing.REGIONS, years)}
        person = {
            "kind": kind, "number": int(number), "stream": draw, "age": age, "male": male,
            "site": site, "biological": biological, "regions": regions,
            "slice": None, "slice_axis": 3, "noise_scale": settings.noise,
        }  # fmt: skip
        person.update(self._ageing(person, z("ageing", 8)))
        person.update(self._pose(kind, male, draw))
        person["vessel"] = 0.55 + 0.6 * uniform(draw("vessels"), 3)
        if kind == "tumor":
            person["tumor"] = tumor.draw_tumor(draw("tumor"), self.template.white_matter_points())
        if kind == "head":
            person.update(draw_head(draw("head")))
        return person

    def _ageing(self, person: dict, z: torch.Tensor) -> dict:
        """Inner constants of the ageing model for one person; z are eight normal numbers."""
        age, regions = person["biological"], person["regions"]
        old = min(max((age - 20) / 60, 0.0), 1.2)
        spread = self.settings.anatomy
        z = z.tolist()
        offset = spread * 0.012 * z[1]
        values = {n: ageing.sulcus_shift(a, n) + offset for n, a in regions.items()
                  if n in ageing.SULCUS_RATE}  # fmt: skip
        lost = {
            "callosum": ageing.callosum_loss(regions["callosum"]),
            "basal ganglia": ageing.caudate_loss(regions["basal ganglia"]),
        }
        return {
            "ventricle": ageing.ventricle_push(age) + spread * (1.6 + 0.7 * old) * z[0],
            "sulcus": values, "lost": lost,
            "horn": ageing.horn_radius(regions["hippocampus"]) * math.exp(0.12 * spread * z[2]),
            "thinning": ageing.thinning(age) + 0.02 * z[3],
            "contrast_loss": ageing.contrast_loss(age) + 0.03 * z[4],
            "iron": ageing.iron(regions["basal ganglia"]) + 0.025 * z[5],
            "lesion": min(ageing.lesion_load(age) + 0.75 * z[6], LESION_LIMIT),
        }  # fmt: skip

    def _pose(self, kind: str, male: bool, draw: Callable) -> dict:
        settings = self.settings
        rotation, shift = POSE[kind]
        rotation = rotation if settings.rotation is None else settings.rotation
        shift = shift if settings.shift is None else settings.shift
        z = normal(draw("pose"), 6)
        turn = z[:3] * torch.tensor(TURN) * math.radians(rotation)
        limit = math.radians(20)
        size = normal(draw("size"), 4)
        ratio = ageing.TIV_RATIO_MEN_WOMEN ** (1 / 6)
        whole = ageing.HEAD_SCALE * (ratio if male else 1 / ratio) * (1 + settings.size * size[0])
        return {
            "rotation": turn.clamp(-limit, limit),
            "shift": z[3:] * shift,
            "scale": whole * (1 + 0.018 * (size[1:] - size[1:].mean())),
        }

    def people(self, numbers: Iterable[int], kind: str = "brain") -> pd.DataFrame:
        """What a student may use, one row per subject: number, subject_id, age (years), sex, site.

        Tumor subjects have the clinical table and the observed survival of `outcome` as well.
        Raises ValueError for an unknown kind.
        """
        rows = []
        for number in numbers:
            person = self._person(kind, number)
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
            person = self._person(kind, number)
            row = {"number": person["number"], "biological_age": person["biological"]}
            row |= {f"{n.replace(' ', '_')}_age": a for n, a in person["regions"].items()}
            row |= {name: person[name] for name in
                    ("ventricle", "horn", "thinning", "contrast_loss", "iron", "lesion")}  # fmt: skip
            if kind == "tumor":
                row.update(tumor.describe(person["tumor"]))
                row.update(outcome.clinical(person)["hidden"])
            rows.append(row)
        return pd.DataFrame(rows)

    # ---- images

    def grid(self, kind: str, spacing: float) -> Grid:
        """The image grid of a kind at a voxel size in mm: 40 x 48 x 40 for brains at 4 mm."""
        if not 0.5 <= spacing <= 16:
            raise ValueError(f"spacing must be 0.5 to 16 mm, not {spacing}.")
        return Grid(tuple(round(length / spacing) for length in FIELD_OF_VIEW[kind]), spacing)

    @torch.inference_mode()
    def tissues(self, numbers: Iterable[int], kind: str = "brain", spacing: float = 4.0):
        """Soft maps of one chunk of people: (dict of (N, X, Y, Z), people, MNI points)."""
        people = [self._person(kind, number) for number in numbers]
        grid = self.grid(kind, spacing)
        person = _stack(people, self.settings, self.device)
        push = None
        if kind == "tumor":
            push = partial(tumor.push, [p["tumor"] for p in people], person)
        points = template_points(grid, person, self.template, push)
        maps = self.template.sample(points, BRAIN_MAPS, fine=spacing < FINE_BELOW)
        tissues = brain_tissues(maps, points, person, spacing)
        if kind == "tumor":
            tumor.grow(tissues, maps, people, person, grid)
        tissues["vessel"] = enhancing_structures(maps, tissues, person, spacing)
        if kind == "head":
            around = self.template.sample(points, HEAD_MAPS)
            add_head(tissues, maps | around, people, spacing)
        return tissues, people, points

    @torch.inference_mode()
    def render(
        self,
        numbers: Iterable[int],
        kind: str = "brain",
        spacing: float = 4.0,
        contrasts: tuple[str, ...] = ("t1",),
    ) -> Batch:
        """Images, labels and volumes of the people asked for; see Batch.

        Raises ValueError for an unknown kind or contrast, or a spacing outside 0.5 to 16 mm.
        """
        numbers = [int(number) for number in numbers]
        unknown = set(contrasts) - set(CONTRASTS)
        if unknown:
            raise ValueError(f"Unknown contrasts: {', '.join(sorted(unknown))}.")
        chunk = GPU_CHUNK if self.device.type == "cuda" else 1
        parts = []
        for start in range(0, len(numbers), chunk):
            tissues, people, _ = self.tissues(numbers[start : start + chunk], kind, spacing)
            images = [acquire(tissues, people, contrast, spacing) for contrast in contrasts]
            images = torch.stack(images, 1)
            if kind == "head":
                images = images * tissues["seen"][:, None]
            parts.append((images, labels_of(tissues, kind), mask_of(tissues), volumes_of(tissues, spacing)))
        images, labels, masks = (torch.cat([part[k] for part in parts]) for k in range(3))
        volumes = {name: torch.cat([part[3][name] for part in parts]) for name in parts[0][3]}
        affine = self.grid(kind, spacing).affine()
        return Batch(numbers, tuple(contrasts), images, labels, masks, affine, volumes)


LESION_LIMIT = 1.3  # no population study has heavier loads; keeps the tail sane


def _draw_age(kind: str, u: torch.Tensor, limits: tuple[float, float] | None) -> float:
    """Years. Brains: two broad humps as in IXI; tumors: about 62 (sd 12); heads: even."""
    a, b, c = u.tolist()
    if limits is not None:
        return limits[0] + (limits[1] - limits[0]) * b
    if kind == "tumor":
        return min(max(62 + 12 * (a + b + c - 1.5) * 2, 22), 88)
    if kind == "head":
        return 18 + 72 * b
    return min(20 + 33 * b**0.9 if a < 0.55 else 46 + 40 * b**1.15, 86)


def _stack(people: list[dict], settings: Settings, device: torch.device) -> dict:
    """People as one dictionary of tensors (N, ...) on the device, and their streams."""
    person = {
        name: torch.stack([p[name] for p in people]) for name in ("rotation", "scale", "shift", "vessel")
    }
    for name in ("ventricle", "horn", "thinning", "lesion"):
        person[name] = torch.tensor([p[name] for p in people], dtype=torch.float32)
    regional = {}
    for name in ageing.REGIONS:
        pairs = [[p["sulcus"].get(name, 0.0), p["lost"].get(name, 0.0)] for p in people]
        regional[name] = torch.tensor(pairs, dtype=torch.float32, device=device)
    person["regional"] = regional
    for name in ("warp", "cortex", "folding", "lesion", "vessel"):
        person[f"{name}_streams"] = [p["stream"](f"field/{name}") for p in people]
    person["warp_amount"] = settings.warp
    person["folding"] = settings.folding
    return person


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
    return torch.stack(classes, 1).argmax(1).to(torch.uint8)


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
    return {"tiv": tiv, "brain": brain, "fraction": brain / tiv, "grey": grey, "white": white, **total}
