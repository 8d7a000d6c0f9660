"""How many people per second, beside TorchIO doing comparable random transforms on the same grid.

    python tests/benchmarks/cohort_speed.py [--device cuda] [--threads 2] [--seconds 8]

Both are measured in turns in one run, so that a busy machine slows both. TorchIO gets the easier
task: it changes one image that exists (affine, elastic, bias field, noise, gamma), the cohort
makes a new person. Printed are volumes per second; a person of four contrasts counts once.
"""

import argparse
import resource
import time

import torch

from synthcohort import Cohort

CASES = (
    ("T1 brain, 4 mm", "brain", 4.0, ("t1",)),
    ("four contrasts with tumor, 4 mm", "tumor", 4.0, ("flair", "t1", "t1gd", "t2")),
    ("whole head T1, 4 mm", "head", 4.0, ("t1",)),
    ("T1 brain, 2 mm", "brain", 2.0, ("t1",)),
)


def rate(work, seconds: float) -> float:
    """Calls of `work` per second, after one call to warm up; `work` returns how many it made."""
    work()
    made, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        made += work()
    return made / (time.perf_counter() - start)


def torchio_work(cohort: Cohort, kind: str, spacing: float):
    """A function that transforms one existing T1 volume with TorchIO."""
    import torchio as tio

    batch = cohort.render([0], kind, spacing)
    subject = tio.Subject(
        t1=tio.ScalarImage(tensor=batch.images[0].cpu(), affine=batch.affine.numpy()),
        label=tio.LabelMap(tensor=batch.labels[:1].cpu(), affine=batch.affine.numpy()),
    )
    transform = tio.Compose(
        [
            tio.RandomAffine(scales=0.1, degrees=10, translation=5),
            tio.RandomElasticDeformation(num_control_points=7, max_displacement=7.5),
            tio.RandomBiasField(),
            tio.RandomGamma(),
            tio.RandomNoise(std=0.03),
        ]
    )
    return lambda: len([transform(subject)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0, help="per measurement")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cohort = Cohort(0, arguments.device)
    group = 4 if arguments.device == "cpu" else 64
    for name, kind, spacing, contrasts in CASES:
        counter = iter(range(10**9))

        def work(counter=counter, kind=kind, spacing=spacing, contrasts=contrasts):
            cohort.render([next(counter) for _ in range(group)], kind, spacing, contrasts)
            if arguments.device != "cpu":
                torch.cuda.synchronize()
            return group

        ours = rate(work, arguments.seconds)
        line = f"{name:34s} cohort {ours:7.1f} people/s"
        if len(contrasts) == 1:
            theirs = rate(torchio_work(cohort, kind, spacing), arguments.seconds)
            line += f"   TorchIO {theirs:6.1f} volumes/s   ratio {ours / theirs:4.1f}"
        print(line, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB (with TorchIO imported), {arguments.threads} threads")


if __name__ == "__main__":
    main()
