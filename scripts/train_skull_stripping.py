"""Train the skull-stripping network that the workshop ships. No image of a real person is trained on.

    python scripts/train_skull_stripping.py --anatomies FOLDER --batch 12 --minutes 9 --rate 2e-3 \
        --start FORMER.safetensors --out assets/weights/skull_stripping.safetensors     # on a GPU, as shipped

Tissue maps of some hundred generated heads are made once; label maps of real heads, if given (real_heads.py), make a
quarter of each batch. Every step draws new contrasts, scanners and fields of view (synthcohort.randomization), another
layer of fluid and another skull base (around_the_brain.py). The last 40 generated heads are kept for the score that is
stored.
"""

from dataclasses import replace

import around_the_brain
import real_anatomies
import real_heads
import torch
from longer_training import begin_with, options, region_loss, tissue_maps, train_longer

from brainscans import compute, networks
from brainscans.skull_stripping import SPACING, normalize
from presimal.evaluation import dice
from synthcohort.randomization import Randomization, randomize

# Other people than those of the workshop's cohort, and more varied: any age, pose and size.
PEOPLE = {"seed": 101, "rotation": 14.0, "shift": 10.0, "size": 0.05, "warp": 1.2, "age_range": (15.0, 90.0)}
HELD_OUT = 40
REAL = 0.25  # of a batch, if label maps are given
SETTINGS = Randomization(invented=0.25)  # contrasts that no scanner has: fewer than in the workshop
KEPT = 0.995  # of the running average of the parameters at each step: that of the last 200 steps or so
BENT = replace(SETTINGS, rotation=12.0, scaling=0.08, elastic=4.0)  # twenty real heads, as if they were many


def main() -> None:
    wanted = options(
        __doc__.splitlines()[0],
        people=300,
        batch=4,
        anatomies={"type": real_anatomies.folder_of, "help": "folder with label maps of real heads, or fetch"},
    )
    device = compute.device()
    torch.backends.cudnn.benchmark = True
    names, maps = tissue_maps("head", SPACING, wanted.people, device, PEOPLE)
    maps = maps.to(device)
    train, kept = maps[:-HELD_OUT], maps[-HELD_OUT:]
    real = real_heads.load(wanted.anatomies, SPACING).to(device) if wanted.anatomies else None
    count = max(1, round(REAL * wanted.batch)) if wanted.anatomies else 0
    compute.seed_everything(1)
    generator = torch.Generator(device).manual_seed(1)

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        chosen = train[torch.randint(len(train), (wanted.batch - count,))]
        chosen = around_the_brain.vary(names, chosen, SPACING, generator)
        parts = [randomize(names, chosen, SPACING, generator, settings=SETTINGS)]
        if real is not None:
            heads = real_heads.with_fat(real[torch.randint(len(real), (count,))], SPACING, generator)
            heads = around_the_brain.vary(real_heads.NAMES, heads, SPACING, generator)
            parts.append(randomize(real_heads.NAMES, heads, SPACING, generator, settings=BENT))
        images, fractions = (torch.cat(part) for part in zip(*parts, strict=True))
        return normalize(images), fractions

    @torch.no_grad()
    def score(model: torch.nn.Module) -> dict[str, object]:
        model.eval()
        fixed, found = torch.Generator(device).manual_seed(2), []
        for start in range(0, HELD_OUT, 4):
            heads = around_the_brain.vary(names, kept[start : start + 4], SPACING, fixed)
            images, fractions = randomize(names, heads, SPACING, fixed, settings=SETTINGS)
            with compute.autocast(device):
                logits = model(normalize(images)).float()
            found.append(dice(logits > 0, fractions > 0.5))
        return {"held_out_dice": round(float(torch.cat(found).mean()), 4)}

    metadata = {
        "task": "brain mask of a whole head, any contrast",
        "spacing_mm": SPACING,
        "people": len(train) + (0 if real is None else len(real)),
        "batch": wanted.batch,
        "data": f"{len(train)} generated heads"
        + ("" if real is None else f", label maps of {len(real)} real heads")
        + ", no image of a person",
        "script": "scripts/train_skull_stripping.py",
    }
    model = networks.UNet(1, 1, tuple(wanted.widths), sharp=8)
    before = begin_with(model, wanted.start) if wanted.start else {}
    settings = (wanted.out, wanted.minutes, wanted.rate, device, metadata, before, KEPT)
    train_longer(model, draw, region_loss, score, *settings)


if __name__ == "__main__":
    main()
