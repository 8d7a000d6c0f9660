"""Train the network that tells the tissues of a stripped T1 apart. No image of a real person is trained on.

    python scripts/train_tissues.py --anatomies FOLDER --out assets/weights/tissues.safetensors

The labels of twenty real brains (real_anatomies.py), in FreeSurfer's terms, are painted anew at every step with a
contrast in the range of T1: any scanner's fluid is darker than its gray matter, and that darker than white matter. What
a mask leaves in or takes away at the edge is drawn too. Targets are fractions of a voxel, so that volumes add up.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import real_anatomies
import torch
from longer_training import begin_with, options, train_longer
from torch import Generator, Tensor
from torch.nn.functional import adaptive_avg_pool3d, avg_pool3d, max_pool3d

from brainscans import compute, networks
from brainscans.age import measures
from brainscans.tissues import SPACING, TISSUES, ask, fluid_signal, normalize
from synthcohort.fields import chance, noise_field, normal, uniform
from synthcohort.randomization import Randomization
from synthcohort.randomization.acquisition import pose, scan

# What is painted: numbers of FreeSurfer, the tissue that it counts as, and the range of its signal on T1; white matter
# is 1. The upper bound of what follows cortex is that of gray matter next to it.
PARTS = {
    "ventricle": ((4, 5, 14, 15, 43, 44, 72), "ventricle", (0.08, 0.42)),
    "plexus": ((31, 63, 136, 137, 163, 164), "ventricle", (0.3, 0.8)),
    "fluid": ((24,), "fluid", (0.08, 0.42)),
    "cortex": ((3, 42), "cortex", (0.55, 0.85)),
    "hippocampus": ((17, 18, 53, 54), "hippocampus", (0.58, 0.88)),
    "striatum": ((11, 12, 26, 50, 51, 58), "striatum", (0.62, 0.92)),
    "pallidum": ((13, 52, 28, 60), "white", (0.8, 1.0)),
    "thalamus": ((10, 49), "thalamus", (0.72, 0.94)),
    "white": ((2, 41, 85, 251, 252, 253, 254, 255, 30, 62), "white", (1.0, 1.0)),
    "lesion": ((25, 57, 77, 78, 79), "white", (0.6, 0.95)),
    "cerebellar cortex": ((8, 47), "cerebellum", (0.55, 0.88)),
    "cerebellar white": ((7, 46), "cerebellum", (0.9, 1.05)),
    "stem": ((16,), "stem", (0.85, 1.02)),
    "vessel": ((502, 514), "outside", (0.1, 1.3)),
    "bone": ((515,), "outside", (0.0, 0.3)),
    "around": ((507, 516, 506, 508, 509, 511, 512, 530), "outside", (0.2, 1.4)),
}
AS_CORTEX = ("hippocampus", "striatum", "cerebellar cortex")  # their signal follows that of the cortex
# Width in mm of what is uneven in a part, and its largest standard deviation, relative. Coils and inversion pulses make
# the cortex of some scans uneven, and its rim dark, where white matter is even.
UNEVEN = {
    "cortex": (40.0, 0.12),
    "white": (22.0, 0.04),
    "lesion": (22.0, 0.04),
    "thalamus": (22.0, 0.04),
    "striatum": (22.0, 0.04),
    "fluid": (22.0, 0.04),
    "around": (22.0, 0.3),
}
CLOSED = 6  # mm, of sulci that belong to the brain
EXTENT = (144, 176, 144)  # mm
SETTINGS = Randomization(
    rotation=18.0, scaling=0.07, elastic=4.0, bias=0.2, thick=0.25, slice_mm=4.5, blurred=0.25, noise=0.05
)
GOOD = replace(SETTINGS, rotation=6.0, thick=0.0, noise=0.02, bias=0.1)  # scans, for the calibration
HELD_OUT = 2  # label maps, for the score
MEMORY = 0.98  # of the average: trainings are short
SHARP = 8  # features at full resolution
CALIBRATION = 3  # images of each label map


def tissue_maps(file: Path, spacing: float) -> Tensor:
    """Packed maps (len(PARTS) + 1, X, Y, Z) uint8 of one head: the parts, and the mask of the brain."""
    labels = real_anatomies.centered(file, EXTENT)
    brain = [
        number for numbers, tissue, _ in PARTS.values() if tissue not in ("outside", "fluid") for number in numbers
    ]
    mask = real_anatomies.closed(np.isin(labels, brain), CLOSED)
    maps = {name: np.isin(labels, numbers) for name, (numbers, *_) in PARTS.items()}
    maps["fluid"] |= mask & (labels == 0)
    volume = torch.from_numpy(np.stack([*maps.values(), mask])).float()[None]
    x, y, z = (round(length / spacing) for length in EXTENT)
    fractions = adaptive_avg_pool3d(volume, (x, y, z))[0]
    return (fractions * 255).round().byte()


def paint(
    maps: Tensor, generator: Generator, spacing: float, settings: Randomization = SETTINGS, edge: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Normalized T1-like images (N, 1, X, Y, Z) of stripped brains and the fractions (N, len(TISSUES), X, Y, Z); `edge`
    says how far the mask's edge moves."""
    count = len(maps)
    mirrored = chance(generator, 0.5, count)
    maps = maps.clone()
    maps[mirrored] = maps[mirrored].flip(2)
    (soft,) = pose((maps.float() / 255,), None, spacing, settings, generator)
    soft, mask = soft[:, :-1], soft[:, -1]
    signals = {n: low + (high - low) * uniform(generator, count, 1, 1, 1) for n, (_, _, (low, high)) in PARTS.items()}
    for name in AS_CORTEX:
        signals[name] = 0.3 * signals[name] + 0.7 * (signals["cortex"] + (0.06 if name == "striatum" else 0.0))
    signals["fluid"] = 0.3 * signals["fluid"] + 0.7 * signals["ventricle"]
    signals["thalamus"] = 0.5 * signals["thalamus"] + 0.5 * (0.5 + 0.5 * signals["cortex"])
    image = torch.zeros_like(mask)
    blurred = mask[:, None]
    for _ in range(3):
        blurred = avg_pool3d(blurred, 3, 1, 1, count_include_pad=False)
    rim = 1 - 0.5 * uniform(generator, count, 1, 1, 1) * chance(generator, 0.5, count, 1, 1, 1) * (1 - blurred[:, 0])
    for k, name in enumerate(PARTS):
        width, size = UNEVEN.get(name, (22.0, 0.0))
        field = noise_field(generator, mask, width, spacing) if size else 0.0
        values = signals[name] * (1 + size * uniform(generator, count, 1, 1, 1) * field)
        image = image + values * (rim if name == "cortex" else 1.0) * soft[:, k]
    image = scan(image.clamp(min=0), spacing, settings, generator)
    power = torch.exp(0.12 * normal(generator, count, 1, 1, 1))
    image = image.clamp(min=0) ** power
    # The mask of a tool: its edge lies up to some mm farther out or in, unevenly; half of them follow the brain itself.
    offset = 0.30 * normal(generator, count, 1, 1, 1) + 0.22 * noise_field(generator, mask, 30.0, spacing)
    offset = edge * offset
    kept = blurred[:, 0] > (0.38 - offset).clamp(0.04, 0.62)
    tissue = soft.sum(1) - soft[:, list(PARTS).index("fluid")]
    outside = sum(soft[:, k] for k, (_, t, _) in enumerate(PARTS.values()) if t == "outside")
    bare = chance(generator, 0.15, count, 1, 1, 1) & ((tissue - outside) < 0.2) & (blurred[:, 0] < 0.9)
    kept = kept & ~bare
    image = image * kept
    target = torch.stack(
        [
            sum((soft[:, k] for k, (_, t, _) in enumerate(PARTS.values()) if t == tissue), torch.zeros_like(mask))
            for tissue in TISSUES
        ],
        1,
    )
    target = target * kept[:, None]
    target[:, 0] = (1 - target[:, 1:].sum(1)).clamp(min=0)
    return normalize(image[:, None]), target / target.sum(1, keepdim=True)


def tissue_loss(outputs: list[Tensor], y: Tensor) -> Tensor:
    """Cross-entropy against fractions at every level, the coarser ones with half the weight of the next finer.

    The last channel of `y` is the weight of a voxel."""
    total = torch.zeros((), device=y.device)
    for level, logits in enumerate(outputs):
        pooled = adaptive_avg_pool3d(y, (logits.shape[2], logits.shape[3], logits.shape[4]))
        target, weight = pooled[:, :-1], pooled[:, -1]
        entropy = -(target * logits.float().log_softmax(1)).sum(1)
        total = total + 0.5**level * (entropy * weight).sum() / weight.sum()
    return total


def calibrate(out: Path, maps: Tensor) -> None:
    """Add to a weights file how to undo what the network does to the measures of age.py, and with what error.

    What it finds is regressed on what the labels have and on the signal of fluid, and the line is turned round: to
    regress the labels on what is found would draw everybody to the mean of these heads, which Bayes' rule does already.
    The signal of cortex is left out: on real scans it told scanners apart, and with it ages were worse. Scans are good
    ones, as users have them; the error is that of label maps that the regression has not seen."""
    model, header = networks.load(str(out))
    generator = torch.Generator().manual_seed(77)
    rows = []
    for number in range(CALIBRATION * len(maps)):
        x, y = paint(maps[number % len(maps)][None], generator, SPACING, GOOD, edge=0.3)
        fractions, _ = ask(model, x, torch.device("cpu"))
        volumes = [dict(zip(TISSUES, f.sum((1, 2, 3)).tolist(), strict=True)) for f in (fractions, y[0])]
        rows.append((*map(measures, volumes), fluid_signal(fractions, x[0, 0]), number % len(maps)))
    found, true, fluid, who = (np.array(column) for column in zip(*rows, strict=True))
    correction, error = [], []
    for k in range(found.shape[1]):
        terms = np.stack([np.ones(len(found)), true[:, k], fluid], 1)
        fits = [np.linalg.lstsq(terms[who != i], found[who != i, k])[0] for i in range(len(maps))]
        missed = [found[j, k] - terms[j] @ fits[i] for j, i in enumerate(who)]
        start, slope, bright = np.linalg.lstsq(terms, found[:, k])[0]
        correction.append([round(float(f), 4) for f in (-start / slope, 1 / slope, -bright / slope)])
        error.append(round(float(np.sqrt(np.mean(np.square(missed))) / slope), 4))
    print({"correction": correction, "error": error}, flush=True)
    header = {key: value for key, value in header.items() if key not in ("network", "arguments")}
    networks.save(model, out, **header | {"correction": correction, "error": error})


def main() -> None:
    wanted = options(
        __doc__.splitlines()[0],
        people=0,
        batch=2,
        anatomies={"type": real_anatomies.folder_of, "required": True, "help": "folder with label maps, or fetch"},
        seed={"type": int, "default": 1},
    )
    device = compute.device()
    maps = real_anatomies.read_all("tissues", wanted.anatomies, SPACING, tissue_maps, Path(__file__)).to(device)
    train, kept = maps[HELD_OUT:], maps[:HELD_OUT]
    compute.seed_everything(wanted.seed)
    generator = torch.Generator(device).manual_seed(wanted.seed)

    def draw() -> tuple[Tensor, Tensor]:
        x, y = paint(train[torch.randint(len(train), (wanted.batch,))], generator, SPACING)
        # Air is plenty, and easy. The weight follows the image and not the target, or volumes would be biased.
        return x, torch.cat([y, max_pool3d((x > 0).float(), 3, 1, 1).clamp(min=0.05)], 1)

    @torch.no_grad()
    def score(model: torch.nn.Module) -> dict:
        model.eval()
        fixed, overlap, ratio = torch.Generator(device).manual_seed(2), [], []
        for _ in range(3):
            x, y = paint(kept, fixed, SPACING)
            with compute.autocast(device):
                found = model(x).float().softmax(1)
            overlap.append(2 * torch.minimum(found, y).sum((2, 3, 4)) / (found + y).sum((2, 3, 4)))
            ratio.append(found.sum((2, 3, 4)) / y.sum((2, 3, 4)))
        means = [torch.cat(values).mean(0).tolist() for values in (overlap, ratio)]
        names = ("held_out_overlap", "held_out_volume_ratio")
        return {n: dict(zip(TISSUES, [round(v, 3) for v in m], strict=True)) for n, m in zip(names, means, strict=True)}

    metadata = {
        "task": "tissues of a stripped T1",
        "tissues": list(TISSUES),
        "spacing_mm": SPACING,
        "people": len(train),
        "batch": wanted.batch,
        "seed": wanted.seed,
        "data": f"label maps of {len(train)} real heads, no image of a person",
        "script": "scripts/train_tissues.py",
    }
    model = networks.UNet(1, len(TISSUES), tuple(wanted.widths), sharp=SHARP)
    before = begin_with(model, wanted.start) if wanted.start else {}
    details = (device, metadata, before, MEMORY)
    train_longer(model, draw, tissue_loss, score, wanted.out, wanted.minutes, wanted.rate, *details)
    calibrate(wanted.out, maps)


if __name__ == "__main__":
    main()
