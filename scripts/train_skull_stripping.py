"""Train the skull-stripping network that the workshop ships, on generated heads only.

    python scripts/train_skull_stripping.py --minutes 40 --out assets/weights/skull_stripping.safetensors

Tissue maps of some hundred heads are made once; every step draws new contrasts, scanners and fields of
view (synthcohort.randomization). The last 40 heads are kept for the score that is stored.
"""

import torch
from longer_training import begin_with, options, region_loss, tissue_maps, train_longer

from presimal import compute, networks
from presimal.evaluation import dice
from presimal.inference.skull_stripping import SPACING, normalize
from synthcohort.randomization import randomize

# Other people than those of the workshop's cohort, and more varied: any age, pose and size.
PEOPLE = {"seed": 101, "rotation": 14.0, "shift": 10.0, "size": 0.05, "warp": 1.2, "age_range": (15.0, 90.0)}
HELD_OUT = 40


def main() -> None:
    wanted = options(__doc__.splitlines()[0], people=300, batch=4)
    device = compute.device()
    names, maps = tissue_maps("head", SPACING, wanted.people, device, PEOPLE)
    train, kept = maps[:-HELD_OUT], maps[-HELD_OUT:]
    compute.seed_everything(1)
    generator = torch.Generator(device).manual_seed(1)

    def draw():
        chosen = torch.randint(len(train), (wanted.batch,))
        images, fractions = randomize(names, train[chosen].to(device), SPACING, generator)
        return normalize(images), fractions

    @torch.no_grad()
    def score(model):
        model.eval()
        fixed, found = torch.Generator(device).manual_seed(2), []
        for start in range(0, HELD_OUT, 4):
            images, fractions = randomize(names, kept[start : start + 4].to(device), SPACING, fixed)
            with compute.autocast(device):
                logits = model(normalize(images)).float()
            found.append(dice(logits > 0, fractions > 0.5))
        return {"held_out_dice": round(float(torch.cat(found).mean()), 4)}

    metadata = {
        "task": "brain mask of a whole head, any contrast",
        "spacing_mm": SPACING,
        "people": len(train),
        "batch": wanted.batch,
        "data": "generated heads, synthcohort",
        "script": "scripts/train_skull_stripping.py",
    }
    model = networks.UNet(1, 1, tuple(wanted.widths), sharp=8)
    before = begin_with(model, wanted.start) if wanted.start else {}
    train_longer(model, draw, region_loss, score, wanted.out, wanted.minutes, wanted.rate, device, metadata, before)


if __name__ == "__main__":
    main()
