"""How well could ages be known from the three volumes of `presimal age`, were these measured without any error?

    python scripts/limits_of_age.py

People are drawn from the published charts that the command believes in, so that all it assumes is true of them: what
it then errs by is what people of one age differ by. No network and no scan is needed.
"""

import csv
from pathlib import Path

import numpy as np

from brainscans import networks
from brainscans.age import AGES, CORRELATION, DRAWN, MEASURES, charts, posterior, quantile
from brainscans.tissues import WEIGHTS

CASES = Path(__file__).with_name("real_cases.csv")
PEOPLE, GROUPS = 2000, 2000
UNKNOWN = 1e3  # standard deviation of a measure that is left out
PERFECT = np.full(len(MEASURES), 1e-6)


def real_ages() -> np.ndarray:
    """Ages (N,) in years of the people on whom the command is examined, where each has an age of their own."""
    with CASES.open(encoding="utf-8") as file:
        ages = [row["age"] for row in csv.DictReader(file) if row["task"] == "age"]
    return np.array([float(age) for age in ages if "-" not in age])


def errors(ages: np.ndarray, error: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Estimated minus true age (N,) in years of people of these ages (N,), drawn from the charts, whose MEASURES are
    measured with the standard deviations `error` (3,)."""
    means, spreads = charts()
    missed = []
    for age in ages:
        k = int(np.argmin(np.abs(AGES - age)))
        covariance = np.outer(spreads[k], spreads[k]) * CORRELATION + np.diag(np.square(error))
        probability, _ = posterior(generator.multivariate_normal(means[k], covariance), error)
        missed.append(quantile(probability, 0.5) - AGES[k])
    return np.array(missed)


def main() -> None:
    generator = np.random.default_rng(1)
    of_network = DRAWN * np.array(networks.load(WEIGHTS)[1]["error"])
    rows = {"all three, without error": PERFECT, "all three, with the network's error": of_network}
    rows |= {
        f"{name} alone, without error": np.where(np.arange(3) == k, 1e-6, UNKNOWN) for k, name in enumerate(MEASURES)
    }
    real = real_ages()
    print("| volumes | MAE, people of 20 to 96 years | MAE, "
          f"{len(real)} people of the ages examined (90 % of such groups) |\n|---|---|---|")  # fmt: skip
    for name, error in rows.items():
        everybody = np.abs(errors(generator.uniform(20, 96, PEOPLE), error, generator)).mean()
        drawn = np.abs(errors(np.tile(real, -(-PEOPLE // len(real))), error, generator)).reshape(-1, len(real))
        # Groups are drawn anew, person by person, from those of the same age.
        groups = drawn[generator.integers(len(drawn), size=(GROUPS, len(real))), np.arange(len(real))].mean(1)
        low, high = np.quantile(groups, [0.05, 0.95])
        print(f"| {name} | {everybody:.1f} y | {groups.mean():.1f} y ({low:.1f} to {high:.1f}) |", flush=True)


if __name__ == "__main__":
    main()
