"""Does a GPU give the CPU's answers, and how fast is it? One table.

    python scripts/check_gpu.py                  # a minute or two; --quick leaves the slow rows out
    python scripts/check_gpu.py --device cpu     # the same rows without a GPU: tries the script itself

Ends with status 0 if every row holds, with 1 if one fails or there is no GPU and none was left out by `--device cpu`.

The generator draws all its numbers on the CPU, so its images must agree to 1e-3 of the signal of white matter.
`randomize` draws on the device, so only its range is checked. Networks are compared in float32 without TF32, and in the
bfloat16 that `compute.autocast` chooses.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial

import torch
from longer_training import region_loss
from torch import Tensor, nn

from brainscans import compute, networks, skull_stripping, tumor_segmentation
from brainscans.networks.age import standardize
from presimal.evaluation import dice
from synthcohort import MSD_CONTRASTS, Batch, Cohort
from synthcohort.cohort import FIELD_OF_VIEW
from synthcohort.randomization import Randomization, randomize

CPU = torch.device("cpu")
WIDTHS = (24, 48, 96, 128)  # of the U-Nets that are shipped
TUMORS = Randomization(tumors=True, swell=0.45, invented=0, cut=0, defaced=0, stripped=0)
LARGEST_IMAGE_DIFFERENCE = 1e-3  # of the signal of white matter on T1
LARGEST_LOSS_DIFFERENCE = {True: 1e-3, False: 5e-2}  # relative; True: in float32
LEAST_DICE = {True: 0.9999, False: 0.99}  # of two masks
LARGEST_AGE_DIFFERENCE = {True: 1e-2, False: 1.0}  # years
PRECISION = {True: "float32", False: "bfloat16"}

Row = tuple[str, bool | None]  # what was found, and whether it holds; None where there is nothing to hold


class Table:
    """Rows that are printed as they come; `failed` says whether one of them did not hold."""

    def __init__(self) -> None:
        self.failed = False

    def row(self, name: str, check: Callable[..., Row], *arguments: object) -> None:
        """Run a check and print what it found; an error is a row that fails."""
        started = time.perf_counter()
        try:
            found, holds = check(*arguments)
        except Exception as problem:  # the table goes on
            traceback.print_exc()
            found, holds = f"{type(problem).__name__}: {str(problem)[:90]}", False
        self.failed |= holds is False
        mark = {True: "ok  ", False: "FAIL", None: "    "}[holds]
        print(f"{mark} {name:44s} {found}   [{time.perf_counter() - started:.1f} s]", flush=True)


def rendered(here: Cohort, there: Cohort, kind: str, spacing: float) -> Row:
    """Images, labels and volumes of three people on both devices."""
    contrasts = MSD_CONTRASTS if kind == "tumor" else ("t1", "t2")
    a, b = (cohort.render(range(3), kind, spacing, contrasts) for cohort in (here, there))
    off = (a.images - b.images.cpu()).abs()
    few = off.flatten()[::7]
    most = few.kthvalue(int(0.999 * len(few))).values
    labels = (a.labels != b.labels.cpu()).float().mean()
    ml = max(float((a.volumes[name] - b.volumes[name].cpu()).abs().max()) for name in a.volumes)
    found = f"largest difference {off.max():.1e}, 99.9 % below {most:.1e}; labels {labels:.1e}; volumes {ml:.1e} ml"
    return found, bool(off.max() < LARGEST_IMAGE_DIFFERENCE)


def packed(here: Cohort, there: Cohort) -> Row:
    """Tissue maps of four people on both devices, in steps of 1/255."""
    a, b = (cohort.tissue_maps(range(4), "tumor", 4.0)[1].cpu().int() for cohort in (here, there))
    off = (a - b).abs()
    return f"largest difference {off.max()} of 255, {(off > 0).float().mean():.1e} of voxels differ", bool(
        off.max() <= 2
    )


def randomized(cohort: Cohort, device: torch.device, kind: str) -> Row:
    """Signals in a sensible range, and the same again from the same seed."""
    names, maps = cohort.tissue_maps(range(4), kind, 4.0)
    contrasts, settings = (MSD_CONTRASTS, TUMORS) if kind == "tumor" else ((), Randomization())

    def draw() -> tuple[Tensor, Tensor]:
        generator = torch.Generator(device).manual_seed(1)
        return randomize(names, maps.to(device), 4.0, generator, contrasts, settings)

    (images, targets), (again, _) = draw(), draw()
    holds = images.isfinite().all() and images.amin() >= 0 and 0.2 < images.amax() < 20 and targets.amax() > 0.9
    return f"{images.amin():.2f} to {images.amax():.2f}; again: {(images - again).abs().max():.1e} off", bool(holds)


def training_step(
    build: Callable[[], nn.Module], shape: tuple, loss: Callable[..., Tensor], device: torch.device, exact: bool
) -> Row:
    """Loss and size of the gradient in the first step of training."""
    torch.manual_seed(0)
    x, y = torch.randn(shape), (torch.rand(shape) > 0.7).float()
    first, found = build().state_dict(), []
    for at in (CPU, device):
        model = build().to(at).train()
        model.load_state_dict(first)
        with torch.autocast(at.type, torch.bfloat16, enabled=not exact and at != CPU):
            outputs = model(x.to(at))
        outputs = [output.float() for output in outputs] if isinstance(outputs, list) else outputs.float()
        error = loss(outputs, y.to(at))
        error.backward()
        found.append((error.item(), nn.utils.clip_grad_norm_(model.parameters(), 5.0).item()))
    (a, size), (b, other) = found
    limit = LARGEST_LOSS_DIFFERENCE[exact]
    holds = abs(a - b) <= limit * abs(a) and abs(size - other) <= 10 * limit * size
    return f"loss {a:.4f} and {b:.4f}, gradient {size:.3f} and {other:.3f}", holds


def age_loss(years: Tensor, y: Tensor) -> Tensor:
    return ((years - 50 - y.mean((1, 2, 3, 4))) ** 2).mean()


def tumor_loss(outputs: list[Tensor], y: Tensor) -> Tensor:
    return region_loss(outputs, y[:, :3])


TRAINING = {
    "AgeNet": (lambda: networks.AgeNet(dropout=0.0), (4, 1, 40, 48, 40), age_loss),
    "UNet, tumor": (lambda: networks.UNet(4, 3, WIDTHS, sharp=8), (2, 4, 40, 48, 40), tumor_loss),
    "UNet, mask": (lambda: networks.UNet(1, 1, WIDTHS, sharp=8), (2, 1, 64, 75, 64), region_loss),
}


def brains(batch: Batch) -> Tensor:
    return tumor_segmentation.normalize(batch.images, batch.mask[:, None].float())


@torch.no_grad()
def answer(name: str, x: Tensor, device: torch.device, exact: bool) -> Row:
    """What a shipped network says on both devices."""
    a = networks.load(name)[0](x)
    with torch.autocast(device.type, torch.bfloat16, enabled=not exact):
        b = networks.load(name, device)[0](x.to(device)).float().cpu()
    if name == "brain_age":
        off = float((a - b).abs().max())
        return f"largest difference {off:.2e} years", off < LARGEST_AGE_DIFFERENCE[exact]
    off = float((a.sigmoid() - b.sigmoid()).abs().max())
    agree = float(dice((a > 0).flatten(1)[None, :, None, None], (b > 0).flatten(1)[None, :, None, None]).min())
    return f"largest difference of a probability {off:.1e}, Dice {agree:.5f}", agree > LEAST_DICE[exact]


def seconds(device: torch.device, function: Callable[[], object], repeats: int) -> float:
    """Of one call, after one that warms up."""
    function()
    started = _clock(device)
    for _ in range(repeats):
        function()
    return (_clock(device) - started) / repeats


def _clock(device: torch.device) -> float:
    if device != CPU:
        torch.accelerator.synchronize()
    return time.perf_counter()


def rendering(cohort: Cohort, device: torch.device, kind: str, spacing: float, count: int) -> Row:
    took = seconds(device, lambda: cohort.render(range(count), kind, spacing, ("t1",)), 1)
    return f"{count / took:.1f} people a second, one contrast", None


def training(device: torch.device, spacing: float, count: int) -> Row:
    """Steps of the tumor network on numbers without meaning."""
    shape = [round(length / spacing) for length in FIELD_OF_VIEW["tumor"]]
    model = networks.UNet(4, 3, WIDTHS, sharp=8).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    x = torch.randn((count, 4, *shape), device=device)
    y = (torch.rand((count, 3, *shape), device=device) > 0.9).float()

    def step(exact: bool) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=not exact):
            outputs = model(x)
        error = region_loss(outputs, y)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()

    speeds = [count / seconds(device, partial(step, exact), 3) for exact in (True, False)]
    memory = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device.type == "cuda" else ""
    return (
        f"{speeds[0]:.1f} people a second in float32 (TF32), {speeds[1]:.1f} in bfloat16; {count} at a time{memory}",
        None,
    )


def randomizing(cohort: Cohort, device: torch.device, spacing: float, count: int) -> Row:
    names, maps = cohort.tissue_maps(range(min(count, 4)), "tumor", spacing)
    maps, generator = maps.repeat(-(-count // 4), 1, 1, 1, 1).to(device), torch.Generator(device).manual_seed(1)
    took = seconds(device, lambda: randomize(names, maps, spacing, generator, MSD_CONTRASTS, TUMORS), 3)
    return f"{len(maps) / took:.1f} people a second, four contrasts", None


def answers(table: Table, device: torch.device) -> None:
    """The rows that may fail."""
    here, there = Cohort(5), Cohort(5, device=device)
    for kind, spacing in (("brain", 4.0), ("tumor", 4.0), ("head", 4.0), ("tumor", 2.0)):
        table.row(f"generator, {kind} at {spacing:g} mm, against the CPU", rendered, here, there, kind, spacing)
    table.row("tissue maps, tumor at 4 mm, against the CPU", packed, here, there)
    for kind in ("head", "tumor"):
        table.row(f"{kind}s randomized at 4 mm", randomized, there, device, kind)
    for name, (build, shape, loss) in TRAINING.items():
        for exact in (True, False):
            name_and_precision = f"training step of {name}, {PRECISION[exact]}"
            table.row(name_and_precision, training_step, build, shape, loss, device, exact)
    head = here.render(range(2), "head", skull_stripping.SPACING, ("t1",)).images
    inputs = {
        "tumor": brains(here.render(range(2), "tumor", 2.0, MSD_CONTRASTS)),
        "skull_stripping": skull_stripping.normalize(head),
        "brain_age": standardize(here.render(range(2), "brain", 4.0, ("t1",)).images),
    }
    for name, x in inputs.items():
        for exact in (True, False):
            table.row(f"shipped {name}, {PRECISION[exact]}", answer, name, x, device, exact)


def speed(table: Table, device: torch.device, quick: bool) -> None:
    """How many people a second; on a CPU only few at 4 mm."""
    cohort, large = Cohort(5, device=device), device.type == "cuda"
    least = 4.0 if not large else 2.0 if quick else 1.0  # mm
    counts = {("brain", 4.0): 64, ("brain", 2.0): 16, ("brain", 1.0): 4, ("head", 4.0): 32, ("tumor", 2.0): 16}
    for (kind, spacing), count in counts.items():
        if spacing >= least:
            name = f"generator, {kind} at {spacing:g} mm"
            table.row(name, rendering, cohort, device, kind, spacing, count if large else 2)
    for spacing, count in {4.0: 32, 2.0: 16, 1.0: 2}.items():
        if spacing >= least:
            name = f"training the tumor network at {spacing:g} mm"
            table.row(name, training, device, spacing, count if large else 1)
    spacing = 2.0 if large else 4.0
    table.row(f"tumors randomized at {spacing:g} mm", randomizing, cohort, device, spacing, 16 if large else 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cuda, mps or cpu")
    parser.add_argument("--quick", action="store_true", help="without the speed at 1 mm")
    wanted = parser.parse_args()
    device = compute.device(wanted.device)
    if device == CPU and wanted.device is None:
        print("There is no GPU here that torch can use: `--device cpu` runs the same rows on the CPU.")
        return 1
    print(compute.banner(device), f"torch {torch.__version__}", flush=True)
    table = Table()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    answers(table, device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    speed(table, device, wanted.quick)
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
