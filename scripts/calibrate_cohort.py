"""Solve for the inner constants of `synthcohort.brain.aging` and print them, ready to paste into `aging.toml`.

At every knot age the same people are generated again and again; after each round the push of the
ventricles, the sulcal threshold and the lesion load move toward the published targets. It starts
from the constants that are there. About four minutes on one core:

    python scripts/calibrate_cohort.py            # solve and print
    python scripts/calibrate_cohort.py --check    # only print the table of what is reached
"""

import argparse

import torch

from synthcohort import Cohort
from synthcohort.brain import aging

PEOPLE = 120  # per age and round; ventricles vary by 40 %, so fewer would bias the means
ROUNDS = 4
SPACING = 4.0  # mm


def measure(age: float, seed: int, people: int = PEOPLE) -> dict[str, torch.Tensor]:
    """Volumes of people of one age, name -> (people,)."""
    cohort = Cohort(seed, age_range=(age, age))
    rows = [cohort.tissues(cohort.draw([n]), SPACING).volumes(SPACING) for n in range(people)]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def report(seed: int) -> None:
    """Print target and cohort mean at every age."""
    print("age  fraction (target)  ventricles ml (target)  lesions ml median (target)  TIV  GM  WM")
    for k, age in enumerate(aging.C.age):
        v = measure(age, seed)
        print(
            f"{age:3.0f}  {v['fraction'].mean():.3f} ({aging.whole_brain_fraction(age):.3f})"
            f" sd {v['fraction'].std():.3f}"
            f"  {v['ventricle'].mean():5.1f} ({aging.C.ventricle_ml[k]:.1f})"
            f" sd {v['ventricle'].std():.1f}"
            f"  {v['lesion'].median():6.2f} ({aging.C.lesion_ml[k]:.2f})"
            f"  {v['tiv'].mean():.0f}  {v['gray'].mean():.0f}  {v['white'].mean():.0f}",
            flush=True,
        )


def solve(seed: int) -> None:
    """Fixed-point iteration on all knots at once; the constants are changed in the module."""
    knots = {name: list(values) for name, values in aging.KNOTS.items()}
    for _ in range(ROUNDS):
        for name, values in knots.items():
            aging.KNOTS[name] = list(values)
        sizes = []
        for k, age in enumerate(aging.C.age):
            v = measure(age, seed)
            sizes.append(v["tiv"].mean())
            ratio = aging.C.ventricle_ml[k] / v["ventricle"].mean()
            knots["ventricle"][k] += float(2.5 * ratio.log())
            error = v["fraction"].mean() - aging.whole_brain_fraction(age)
            knots["sulcus"][k] += 0.7 * float(error)
            ratio = aging.C.lesion_ml[k] / v["lesion"].median().clamp(min=0.005)
            knots["lesion"][k] += 0.5 * float(ratio.log().clamp(-1, 1))
        size = float(torch.stack(sizes).mean())
        aging.HEAD_SCALE *= (aging.C.tiv_ml / size) ** (1 / 3)
        shown = {name: [round(x, 3) for x in values] for name, values in knots.items()}
        print(f"TIV {size:.0f} ml", shown, flush=True)
    for name, values in knots.items():
        aging.KNOTS[name] = list(values)
        digits = 4 if name == "sulcus" else 2
        print(f"{name} = {[round(x, digits) for x in values]}")
    print(f"head_scale = {aging.HEAD_SCALE:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="measure only")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.check:
        solve(arguments.seed)
    report(arguments.seed + 1)
