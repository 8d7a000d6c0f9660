"""Train the brain-age network that is shipped in assets/weights, on thousands of generated people.

    python scripts/train_brain_age.py                      # about half an hour on one core, minutes on a GPU
    python scripts/train_brain_age.py --people 512 --epochs 2 --file /somewhere/else.safetensors

The people are those of another seed than the cohort's, at five sites instead of three, and each time that
one is seen, intensities, bias field, sharpness, noise and position are drawn anew. Whatever ends the
script, the next start goes on from the last chunk of people or the last epoch.
"""

import argparse
import io
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from banks import bank

from brainscans import compute, networks
from brainscans.networks.age import AgeNet, standardize
from presimal import data
from presimal.evaluation import bootstrap_interval
from synthcohort import Cohort
from synthcohort.fields import noise_field
from synthcohort.storage import write_atomically

SEED, SITES, SPACING, CHUNK = 1000, 5, 4.0, 128
FILE = Path(__file__).resolve().parents[1] / "assets" / "weights" / "brain_age.safetensors"


def people(count: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Volumes (N, 1, X, Y, Z) float16, standardized, and ages (N,) in years."""
    cohort = Cohort(SEED, device if device.type == "cuda" else "cpu", sites=SITES)
    images, ages = [], []
    for start in range(0, count, CHUNK):
        numbers = range(start, start + CHUNK)

        def make(numbers: range = numbers) -> dict[str, torch.Tensor]:
            rendered = cohort.render(numbers, spacing=SPACING).images[:, 0].cpu()
            print(f"rendered {numbers.stop} people", flush=True)
            return {
                "x": (rendered * 1000).round().clamp(0, 32767).to(torch.int16),
                "age": torch.tensor(cohort.people(numbers).age.to_numpy()),
            }

        settings = {"seed": SEED, "sites": SITES, "spacing": SPACING, "first": start, "people": CHUNK}
        chunk = bank(f"brain-age-{SPACING:g}mm-seed{SEED}-{start:05d}", settings, make)
        images.append(standardize(chunk["x"].float()[:, None]).half())
        ages.append(chunk["age"].float())
    return torch.cat(images)[:count], torch.cat(ages)[:count]


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same people (N, 1, X, Y, Z) once more: mirrored, moved, on another scanner."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=generator.device)

    if torch.rand(()) < 0.5:
        x = x.flip(2)
    x = torch.roll(x, torch.randint(-1, 2, (3,)).tolist(), (2, 3, 4))
    x = x + 0.15 * normal(len(x), 1, 1, 1, 1) * x * (1 - x)  # darker or brighter between fluid and white matter
    field = 0.055 * noise_field(generator, x[:, 0], 60.0, SPACING)[:, None]  # bias field, features of 60 mm
    x = x * torch.exp(field + 0.05 * normal(len(x), 1, 1, 1, 1))
    if torch.rand(()) < 0.4:  # thicker slices along one axis
        axis, side = int(torch.randint(2, 5, ())), float(0.25 * torch.rand(()))
        x = x * (1 - 2 * side) + side * (torch.roll(x, 1, axis) + torch.roll(x, -1, axis))
    if torch.rand(()) < 0.5:  # a background of zeros, as a skull-stripping tool leaves it
        x = x * (F.avg_pool3d(x, 3, 1, 1) > 0.12)
    noise = 0.03 * torch.rand((len(x), 1, 1, 1, 1), generator=generator, device=generator.device)
    return x + noise * normal(*x.shape)


def train(x, y, epochs: int, batch: int, device: torch.device, checkpoint: Path) -> tuple[AgeNet, float]:
    """A trained network, and the seconds of processor time that its training took."""
    compute.seed_everything(0)
    generator = torch.Generator(device).manual_seed(0)
    model = AgeNet(y.mean(), y.std()).to(device, memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.05)
    steps = len(y) // batch
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * steps, pct_start=0.2)
    done, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        rate.load_state_dict(state["rate"])
        done, seconds = state["done"], state["seconds"]
    for epoch in range(done, epochs):
        model.train()
        started, total = time.process_time(), 0.0
        for rows in torch.randperm(len(y))[: steps * batch].split(batch):
            seen = augment(x[rows].to(device).float(), generator).contiguous(memory_format=torch.channels_last_3d)
            loss = F.mse_loss(model(seen), y[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            total += float(loss)
        seconds += time.process_time() - started
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rate": rate.state_dict(),
            "done": epoch + 1,
            "seconds": seconds,
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_atomically(checkpoint, content.getvalue())
        print(
            f"epoch {epoch + 1}/{epochs}: root of the loss {(total / steps) ** 0.5:.2f} years, {seconds:.0f} s",
            flush=True,
        )
    return model, seconds


@torch.no_grad()
def estimate_batch_statistics(model: AgeNet, x: torch.Tensor, batch: int, device: torch.device) -> AgeNet:
    """Estimate the statistics of batch normalization anew, on images without augmentation.

    The noise and blur of training had shifted them, and with them the ages by a year or two.
    """
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over all batches
        elif isinstance(module, torch.nn.Dropout):
            module.eval()
    for part in x[:1024].split(batch):
        model(part.to(device).float())
    return model.eval()


@torch.no_grad()
def predict(model: AgeNet, x: torch.Tensor, device: torch.device) -> np.ndarray:
    """Ages in years, the mean over an image and its mirror image."""
    ages = [(model(part.to(device)) + model(part.to(device).flip(2))) / 2 for part in x.split(45)]
    return torch.cat(ages).cpu().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default=None)
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    device = compute.device(options.device)
    x, y = people(options.people, device)
    checkpoint = options.file.with_suffix(f".{options.people}-{options.epochs}-{options.batch}.checkpoint")
    model, seconds = train(x, y, options.epochs, options.batch, device, checkpoint)
    estimate_batch_statistics(model, x, options.batch, device)
    table = data.brain_age()
    test = table[table.split == "test"]
    error = np.abs(predict(model, standardize(data.load(test)), device) - test.age.to_numpy())
    mae = bootstrap_interval(np.mean, error)
    networks.save(
        model,
        options.file,
        input="skull-stripped T1, registered to MNI, 40 x 48 x 40 voxels of 4 mm, standardized",
        people=options.people,
        data=f"generated cohort, seed {SEED}, {SITES} sites",
        epochs=options.epochs,
        device=device.type,
        script="scripts/train_brain_age.py",
        minutes=round(seconds / 60, 1),
        mae_test_years=[round(v, 2) for v in mae],
        test_people=len(test),
    )
    print(f"test MAE {mae:.2f} years, {len(test)} people; wrote {options.file.name}")


if __name__ == "__main__":
    main()
