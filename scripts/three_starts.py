"""How far do the headlines of notebooks 05, 06 and 07 depend on the start of their trainings?

    python scripts/three_starts.py

Runs the notebooks' own cells, and their main trainings from three starts each: the seed decides the first parameters,
the order of the batches and what is drawn for them; the people stay the same. Adds rows to three_starts.csv: notebook,
seed, what was measured, and its value. About twenty-five CPU-minutes; a run that is started again goes on where
rows are missing. Seed 0 is what the notebooks show, but for rounding of another processor.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from transfer_and_attention import NOTEBOOK, sources

FOLDER, SEEDS = NOTEBOOK.parent, range(3)
TABLE = Path(__file__).with_name("three_starts.csv")
AGE, TUMOR, BRAIN = "05_brain_age_regression", "06_tumor_segmentation", "07_skull_stripping"
BEFORE = {
    AGE: """table images x ages train predict block AgeNet Live augment Batches mae_years learner Checkpoint
    train_to_the_end""",
    TUMOR: """prepare table train read_images Images X regions REGIONS Y voxel_ml soft_dice_loss block SmallUNet loss
    Fast mirror augment Patients Augmented one_cycle prepare_training mean_dice train_until probability dice_each y_test
    examination x_test""",
    BRAIN: """table images dice score classical valid CONTRASTS exam many_scanners TISSUES paint inverted loss Fast
    Drawn train chosen predict ask maps_of uniform posed smooth_field random_resolution rician random_noise
    random_view imagine""",
}
REPEATED = {AGE: ["new_network", "learn"], TUMOR: ["model", "LEAST"], BRAIN: ["t1_batch", "imagined_batch"]}


def age(names: dict[str, Any]) -> dict[str, float]:
    """Mean absolute error on the test people, years."""
    return {"test MAE (years)": names["mae"](names["predictions"]["network"], names["test"])}


def tumor(names: dict[str, Any]) -> dict[str, float]:
    """Mean Dice of the test patients, of each region and of all three."""
    found = names["answer"](names["model"], names["x_test"][:])
    by_region = names["dice_each"](found, names["y_test"]).double().mean(0).numpy()
    return dict(zip(names["REGIONS"], by_region, strict=True)) | {"mean Dice": by_region.mean()}


def brain(names: dict[str, Any]) -> dict[str, float]:
    """Mean Dice of the test people over the contrasts that neither network was trained on, and on the worst of them."""
    measured: dict[str, float] = {}
    for name, model in names["models"].items():
        answers = {column: names["predict"](model, x) for column, (x, _) in names["exam"].items()}
        dices = [row.mean() for column, row in names["examine"](answers).items() if column not in ("T1", "other sites")]
        measured |= {f"{name}, mean of unseen contrasts": np.mean(dices), f"{name}, worst contrast": min(dices)}
    return measured


MEASURES: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {AGE: age, TUMOR: tumor, BRAIN: brain}


def main() -> None:
    known = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=["notebook", "seed"])
    done = {*zip(known.notebook, known.seed, strict=True)}
    for notebook, measure in MEASURES.items():
        names: dict[str, Any] = {"predictions": {}}
        names["mae"] = lambda years, rows, names=names: float(np.abs(years - names["ages"])[rows].mean())
        file = FOLDER / f"{notebook}.ipynb"
        missing = [seed for seed in SEEDS if (notebook, seed) not in done]
        for source in sources(BEFORE[notebook].split(), file) if missing else ():
            exec(source, names)
        for seed in missing:
            names |= {"SEED": seed, "display": lambda *_, **__: SimpleNamespace(update=lambda _: None)}
            for checkpoint in Path(names["FOLDER"]).glob("*.pt"):
                checkpoint.unlink()
            for name in REPEATED[notebook]:
                exec(sources([name], file)[-1], names)
            measured = measure(names).items()
            rows = pd.DataFrame([(notebook, seed, what, round(float(value), 4)) for what, value in measured])
            rows.columns = ["notebook", "seed", "measured", "value"]
            rows.to_csv(TABLE, mode="a", header=not TABLE.exists(), index=False)


if __name__ == "__main__":
    main()
