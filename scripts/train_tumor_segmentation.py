"""Train the tumor network that the workshop ships, on generated people only.

    python scripts/train_tumor_segmentation.py --minutes 75 --out assets/weights/tumor.safetensors

Tissue maps of some hundred people with gliomas are made once; every step draws new tumor parts, contrasts,
scanners, a voxel size and errors of skull stripping. The last 30 people are kept for the score that is stored.
"""

import torch
import torch.nn.functional as F
from longer_training import begin_with, options, region_loss, tissue_maps, train_longer

from presimal import compute, networks
from presimal.evaluation import dice
from presimal.inference.tumor_segmentation import CONTRASTS, SPACING, normalize
from synthcohort.fields import noise_field
from synthcohort.randomization import Randomization, randomize

# Other people than those of the workshop's cohort, and more varied in age, pose and size.
PEOPLE = {"seed": 202, "rotation": 7.0, "shift": 4.0, "size": 0.05, "warp": 1.1, "age_range": (20.0, 88.0)}
HELD_OUT = 30
TARGETS = ("mask", "edema", "core", "enhancing")
SPACINGS = {SPACING: 0.6, 2.5: 0.25, 3.0: 0.15}  # mm, and how often: coarser ones are quicker to use
SETTINGS = Randomization(
    invented=0,
    jitter=0.12,
    flat=0.7,
    tumors=True,
    swell=0.45,
    rotation=6,
    scaling=0.05,
    elastic=2,
    bias=0.3,
    thick=0.4,
    slice_mm=6,
    noise=0.06,
    gamma=0.2,
    cut=0,
    defaced=0,
    stripped=0,
)


def stripped(mask: torch.Tensor, spacing: float, generator: torch.Generator) -> torch.Tensor:
    """The brain (N, 1, X, Y, Z) as skull stripping leaves it: a little too wide here, too tight there."""
    uneven = noise_field(generator, mask[:, 0], 27.0, spacing)[:, None]  # features of 27 mm
    level = 0.25 + 0.5 * torch.rand((len(mask), 1, 1, 1, 1), generator=generator, device=generator.device)
    return (F.avg_pool3d(mask, 3, 1, 1) + 0.08 * uneven > level).float()


def examples(names, maps, spacing, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Network inputs (N, 4, X, Y, Z) at `spacing` mm and the fraction of each voxel in its three regions."""
    if spacing != SPACING:
        coarse = [round(length * SPACING / spacing) for length in maps.shape[2:]]
        maps = F.interpolate(maps.float(), coarse, mode="area").round().byte()
    images, fractions = randomize(names, maps, spacing, generator, tuple(CONTRASTS), SETTINGS, TARGETS)
    mask, edema, core, enhancing = fractions.split(1, 1)
    regions = torch.cat([core + enhancing + edema, core + enhancing, enhancing], 1).clamp(0, 1)
    brain = stripped(mask, spacing, generator)
    return normalize(images, brain), regions


def main() -> None:
    wanted = options(__doc__.splitlines()[0], people=330, batch=2)
    device = compute.device()
    names, maps = tissue_maps("tumor", SPACING, wanted.people, device, PEOPLE)
    train, kept = maps[:-HELD_OUT], maps[-HELD_OUT:]
    compute.seed_everything(1)
    generator = torch.Generator(device).manual_seed(1)

    def draw():
        chosen = torch.randint(len(train), (wanted.batch,))
        size = torch.multinomial(torch.tensor(list(SPACINGS.values())), 1).item()
        return examples(names, train[chosen].to(device), list(SPACINGS)[size], generator)

    @torch.no_grad()
    def score(model):
        model.eval()
        fixed, found = torch.Generator(device).manual_seed(2), []
        for start in range(0, HELD_OUT, 2):
            x, y = examples(names, kept[start : start + 2].to(device), SPACING, fixed)
            with compute.autocast(device):
                logits = model(x).float()
            found.append(dice(logits > 0, y > 0.5))
        return {"held_out_dice": [round(value, 3) for value in torch.cat(found).mean(0).tolist()]}

    metadata = {
        "task": "glioma regions from FLAIR, T1, T1Gd, T2: whole tumor, core, enhancing part",
        "spacing_mm": SPACING,
        "spacings_mm": list(SPACINGS),
        "people": len(train),
        "batch": wanted.batch,
        "data": "generated gliomas, synthcohort",
        "script": "scripts/train_tumor_segmentation.py",
    }
    model = networks.UNet(4, 3, tuple(wanted.widths), sharp=8)
    before = begin_with(model, wanted.start) if wanted.start else {}
    train_longer(model, draw, region_loss, score, wanted.out, wanted.minutes, wanted.rate, device, metadata, before)


if __name__ == "__main__":
    main()
