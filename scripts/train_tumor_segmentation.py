"""Train the tumor network that the workshop ships. No image of a real person is trained on.

    python scripts/train_tumor_segmentation.py --anatomies FOLDER --minutes 75 --out assets/weights/tumor.safetensors

Tissue maps of some hundred generated people are made once, with gliomas and without; label maps of real heads, if given
(real_anatomies.py), join those without. Every step draws new tumors, other lesions, what skull stripping leaves,
contrasts and scanners (patients/), and now and then leaves out a contrast. About a third of all people has no tumor.
The last 30 generated people with a glioma are kept for the score that is stored.
"""

import real_anatomies
import torch
import torch.nn.functional as F
from longer_training import begin_with, options, region_loss, tissue_maps, train_longer
from patients import Patients, complete, randomize_patients
from torch import Generator, Tensor, nn

from brainscans import compute, networks
from brainscans.tumor_segmentation import SPACING, normalize
from presimal.evaluation import dice
from synthcohort import MSD_CONTRASTS
from synthcohort.fields import uniform
from synthcohort.randomization import Randomization

# Other people than those of the workshop's cohort, and more varied in age, pose and size.
PEOPLE = {"seed": 202, "rotation": 7.0, "shift": 4.0, "size": 0.05, "warp": 1.1, "age_range": (20.0, 88.0)}
HELD_OUT = 30
GROUPS = {"gliomas": 0.40, "brains": 0.32, "anatomies": 0.28}  # of a batch; the last two bring no tumor of their own
MISSING = 0.12  # probability that a contrast is left out
CUT = 0.1  # fraction of people without neck and cerebellum
FAINT = 0.5  # fraction of tumors whose uptake is fainter than drawn: asked with twice the gain, real ones were found
LEAST_GAIN = 0.45  # of what T1Gd adds to T1 within a tumor, in these
SETTINGS = Randomization(
    invented=0,
    jitter=0.12,
    flat=0.75,
    rotation=8,
    scaling=0.07,
    swell=0.45,
    elastic=3,
    bias=0.3,
    thick=0.35,
    slice_mm=6,
    blurred=0.12,
    noise=0.045,
    gamma=0.2,
    cut=0,
    defaced=0,
    stripped=0,
)
TARGETS = ("mask", "edema", "core", "enhancing", "remnant")


def stripped(mask: Tensor, generator: Generator) -> Tensor:
    """The brain (N, 1, X, Y, Z) as skull stripping leaves it: too wide here, too tight there, now and then cut off."""
    coarse = torch.randn((len(mask), 1, 6, 7, 6), generator=generator, device=generator.device)
    uneven = F.interpolate(coarse, mask.shape[2:], mode="trilinear")
    level, amount, rare, height = uniform(generator, 4, len(mask), 1, 1, 1, 1).unbind(0)
    brain = F.avg_pool3d(mask, 3, 1, 1) + (0.1 + 0.25 * amount) * uneven > 0.2 + 0.55 * level
    z = torch.linspace(0, 1, mask.shape[4], device=mask.device)
    kept = (z > 0.12 + 0.2 * height) | (rare > CUT)
    return (brain & kept & (F.max_pool3d(mask, 5, 1, 2) > 0.3)).float()


def fainter(x: Tensor, whole: Tensor, generator: Generator) -> Tensor:
    """Normalized images (N, 4, X, Y, Z) in which T1Gd adds less to T1 within the tumor `whole` (N, 1, X, Y, Z) of
    some people: real uptake that was missed was found once its gain was doubled."""
    some, amount = uniform(generator, 2, len(x), 1, 1, 1, 1).unbind(0)
    lost = (1 - LEAST_GAIN) * amount * (some < FAINT)
    t1, t1gd = x[:, 1:2], x[:, 2:3]
    return torch.cat([x[:, :2], t1gd - lost * whole * (t1gd - t1), x[:, 3:]], 1)


def examples(
    maps: Tensor,
    generator: Generator,
    patients: Patients | None = None,
    missing: float = MISSING,
    spacing: float = SPACING,
) -> tuple[Tensor, Tensor]:
    """Network inputs (N, 4, X, Y, Z), 0 for a contrast that is left out, and the fraction of each voxel in its regions.

    `maps` (N, K, X, Y, Z) uint8 are those of patients.NAMES at `spacing` mm. At least one contrast is always there.
    """
    images, fractions = randomize_patients(
        maps, spacing, generator, MSD_CONTRASTS, SETTINGS, patients or Patients(), TARGETS
    )
    mask, edema, core, enhancing, remnant = fractions.split(1, 1)
    regions = torch.cat([core + enhancing + edema, core + enhancing, enhancing], 1).clamp(0, 1)
    brain = torch.maximum(stripped(mask, generator), (remnant > 0.5).float())
    x = fainter(normalize(images, brain), regions[:, :1], generator)
    there = uniform(generator, len(x), len(MSD_CONTRASTS), 1, 1, 1) > missing
    there = there | ~there.any(1, keepdim=True)
    return x * there, regions * brain


def main() -> None:
    wanted = options(
        __doc__.splitlines()[0],
        people=330,
        batch=2,
        brains={"type": int, "default": 160, "help": "generated people without a glioma"},
        anatomies={"type": real_anatomies.folder_of, "help": "folder with label maps of real heads, or fetch"},
    )
    device = compute.device()
    torch.backends.cudnn.benchmark = True
    gliomas = complete(*tissue_maps("tumor", SPACING, wanted.people, device, PEOPLE)).to(device)
    kept = gliomas[-min(HELD_OUT, len(gliomas) // 3) :]
    groups = {
        "gliomas": gliomas[: -len(kept)],
        "brains": complete(*tissue_maps("brain", SPACING, wanted.brains, device, PEOPLE)).to(device),
    }
    data = f"{len(groups['gliomas'])} generated gliomas, {wanted.brains} generated tumor-free people"
    if wanted.anatomies:
        groups["anatomies"] = real_anatomies.load(wanted.anatomies, SPACING).to(device)
        data += f", label maps of {len(groups['anatomies'])} real heads"
    people = torch.cat(list(groups.values()))
    probability = torch.cat([torch.full((len(maps),), GROUPS[name] / len(maps)) for name, maps in groups.items()])
    compute.seed_everything(1)
    generator = Generator(device).manual_seed(1)

    def draw() -> tuple[Tensor, Tensor]:
        chosen = torch.multinomial(probability, wanted.batch, replacement=True)
        return examples(people[chosen.to(device)], generator)

    @torch.no_grad()
    def score(model: nn.Module) -> dict[str, list[float]]:
        model.eval()
        fixed, found = Generator(device).manual_seed(2), []
        for part in kept.split(2 if device.type == "cpu" else 6):
            x, y = examples(part, fixed, missing=0)
            with compute.autocast(device):
                logits = model(x).float()
            found.append(dice(logits > 0, y > 0.5))
        return {"held_out_dice": [round(value, 3) for value in torch.cat(found).mean(0).tolist()]}

    metadata = {
        "task": "glioma regions from FLAIR, T1, T1Gd, T2, any of them left out: whole tumor, core, enhancing part",
        "spacing_mm": SPACING,
        "spacings_mm": [SPACING],
        "people": len(people),
        "batch": wanted.batch,
        "data": data + ", no image of a person",
        "script": "scripts/train_tumor_segmentation.py",
    }
    model = networks.UNet(4, 3, tuple(wanted.widths), sharp=8)
    before = begin_with(model, wanted.start) if wanted.start else {}
    train_longer(model, draw, region_loss, score, wanted.out, wanted.minutes, wanted.rate, device, metadata, before)


if __name__ == "__main__":
    main()
