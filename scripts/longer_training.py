"""What the scripts that train the shipped networks share: options, tissue maps, the loss, the long loop.

The loop is that of `presimal.training.fit` without epochs: every batch is drawn anew, so there is
nothing to pass through twice. It keeps a running average of the parameters, stores weights and a
checkpoint every few minutes, and goes on from the checkpoint when started again.
"""

import argparse
import io
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from banks import bank
from monai.losses import DiceLoss
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool3d, binary_cross_entropy_with_logits
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from presimal import compute, networks
from synthcohort import Cohort
from synthcohort.storage import write_atomically

SAVE_EVERY = 240  # seconds
CHUNK = 20  # people whose maps are made at a time

soft_dice = DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)


def options(description: str, people: int, batch: int, **more: dict) -> argparse.Namespace:
    """What may be said on the command line of a training script; `more` are options of its own, as for argparse."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=40.0, help="of computing time")
    parser.add_argument("--people", type=int, default=people, help="of whom tissue maps are made")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=3e-3, help="largest learning rate")
    parser.add_argument("--widths", type=int, nargs="+", default=[24, 48, 96, 128])
    parser.add_argument("--start", type=Path, help="weights to begin with, as far as they fit")
    parser.add_argument("--out", type=Path, required=True)
    for name, details in more.items():
        parser.add_argument(f"--{name}", **details)
    return parser.parse_args()


def begin_with(model: nn.Module, file: Path) -> dict:
    """Take over the parameters of a weights file whose names and shapes are those of the model; returns its header."""
    own = model.state_dict()
    given = {name: value.float() for name, value in load_file(file).items()}
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    print(f"beginning with {len(fitting)} of {len(own)} tensors of {file}", flush=True)
    model.load_state_dict(own | fitting)
    return networks.load(str(file))[1]


def tissue_maps(
    kind: str, spacing: float, people: int, device: torch.device, settings: dict
) -> tuple[tuple[str, ...], Tensor]:
    """Names and tissue maps (N, K, X, Y, Z) uint8 of some people, made once and kept (banks.py)."""
    cohort = Cohort(device=device if device.type == "cuda" else "cpu", **settings)

    def make() -> dict[str, Tensor]:
        chunks = [range(start, min(start + CHUNK, people)) for start in range(0, people, CHUNK)]
        return {"maps": torch.cat([cohort.tissue_maps(chunk, kind, spacing)[1].cpu() for chunk in chunks])}

    all_settings = {"kind": kind, "spacing": spacing, "people": people, **settings}
    names, _ = cohort.tissue_maps([0], kind, spacing)
    return names, bank(f"{kind}-{spacing:g}mm-{people}", all_settings, make)["maps"]


def region_loss(outputs: list[Tensor], y: Tensor) -> Tensor:
    """Dice and cross-entropy at every level, the coarser ones with half the weight of the next finer.

    `outputs` are the logits (N, R, X, Y, Z) of a UNet in training, `y` the fraction of each voxel in the regions.
    Every case and region counts alike, so that the loss of a batch is the mean over its parts.
    """
    total = torch.zeros((), device=y.device)
    for level, logits in enumerate(outputs):
        logits, target = logits.float(), adaptive_avg_pool3d(y, logits.shape[2:])
        total = total + 0.5**level * (soft_dice(logits, target) + binary_cross_entropy_with_logits(logits, target))
    return total


def train_longer(
    model: nn.Module,
    draw: Callable[[], tuple[Tensor, Tensor]],
    loss: Callable[..., Tensor],
    score: Callable[[nn.Module], dict],
    out: Path,
    minutes: float,
    rate: float,
    device: torch.device,
    metadata: dict,
    before: dict,
    kept: float = 0.995,
) -> None:
    """Train for some minutes of computing time; `draw` gives a batch, `score` numbers for the file's header.

    `metadata` goes into that header too. `before` is the header of the weights that the training began with, {} if
    none: its steps and minutes count. `kept` is how much of the running average of the parameters a step leaves.
    """
    model.to(device).train()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(kept))
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2)
    checkpoint, spent, step = out.with_suffix(".checkpoint"), 0.0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        spent, step = state["spent"], state["step"]

    def store() -> None:
        scores = score(average.module)
        print(f"step {step}: {scores}", flush=True)
        steps, minutes = step + before.get("steps", 0), round(spent / 60 + before.get("minutes", 0), 1)
        networks.save(average.module, out, **metadata, **scores, steps=steps, minutes=minutes, device=device.type)
        state = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict()}
        content = io.BytesIO()
        torch.save(state | {"spent": spent, "step": step}, content)
        write_atomically(checkpoint, content.getvalue())

    clock = time.process_time if device.type == "cpu" else time.perf_counter
    started, saved = clock() - spent, spent
    while (spent := clock() - started) < 60 * minutes:
        done = spent / (60 * minutes)  # one cycle: up in the first tenth, then down along a cosine
        cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, (done - 0.1) / 0.9)))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, done / 0.1) * cosine
        x, y = draw()
        with compute.autocast(device):
            outputs = model(x)
        error = loss(outputs, y)
        optimizer.zero_grad()
        if torch.isfinite(error):
            error.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(model)
        step += 1
        if step % 50 == 0:
            print(f"step {step}, {spent / 60:.1f} of {minutes:g} min, loss {error.item():.3f}", flush=True)
        if spent - saved > SAVE_EVERY:
            saved = spent
            store()
    store()
    checkpoint.unlink()
