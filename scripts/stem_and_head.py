"""What do the half-resolution stem and the sharp head of notebook 06 give in Dice, at equal steps?

    python scripts/stem_and_head.py

Runs the notebook's own cells, its training with three of the networks that section 4 times, three seeds each: the small
one at full resolution, the wide one behind the stem, and that with the sharp head. Three epochs in place of the
notebook's seven, so that all take about a quarter of an hour of CPU time. For each, the size below which an enhancing
part counts as none is chosen on the validation patients, as there. A row a training is appended to stem_and_head.csv:
the mean Dice of the three regions of the notebook's 105 test patients. A run that is started again goes on where rows
are missing.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from transfer_and_attention import sources
from tumor_recipe import NOTEBOOK, REGIONS

TABLE = Path(__file__).with_name("stem_and_head.csv")
NETWORKS = ("full resolution", "wide, half-resolution stem", "and a sharp head")  # of the notebook's VARIANTS
SEEDS, EPOCHS = range(3), 3
BEFORE = """prepare table train read_images Images X regions REGIONS Y voxel_ml soft_dice_loss block SmallUNet loss Fast
VARIANTS mirror augment Patients Augmented one_cycle mean_dice train_until probability dice_each y_test examination
x_test""".split()
OURS = "Fast(networks.UNet(4, 3, sharp=8))"


def any_network(source: str) -> str:
    """The cell that prepares the training, so that it takes NETWORK(); ValueError if it takes another network now."""
    if source.count(OURS) != 1:
        raise ValueError(f"The cell that prepares the training has changed: {source}")
    return source.replace(OURS, "NETWORK()")


def measured(names: dict[str, Any], network: str, seed: int) -> list[float]:
    """Mean Dice of each region, of one network after one training."""
    names |= {"SEED": seed, "EPOCHS": EPOCHS, "NETWORK": lambda: names["Fast"](names["VARIANTS"][network]())}
    (names["FOLDER"] / "tumor.pt").unlink(missing_ok=True)  # the checkpoint of another training
    names["model"], _ = names["train_until"](EPOCHS)
    exec(sources(["LEAST"], NOTEBOOK)[-1], names)
    found = names["answer"](names["model"], names["x_test"][:])
    return names["dice_each"](found, names["y_test"]).double().mean(0).numpy().round(3).tolist()


def main() -> None:
    known = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=["seed", "network"])
    done = {*zip(known.seed, known.network, strict=True)}
    missing = [(seed, network) for seed in SEEDS for network in NETWORKS if (seed, network) not in done]
    names: dict[str, Any] = {}
    for source in sources(BEFORE, NOTEBOOK) if missing else ():
        exec(source, names)
    names["compute"].return_at_once(32)  # trainings, too, come after the examination
    exec(any_network(sources(["prepare_training"], NOTEBOOK)[-1]), names)
    for seed, network in missing:
        steps = EPOCHS * (int(names["train"].sum()) // names["BATCH"])
        row = (seed, network, steps, *measured(names, network, seed))
        columns = ["seed", "network", "steps", *REGIONS]
        pd.DataFrame([row], columns=columns).to_csv(TABLE, mode="a", header=not TABLE.exists(), index=False)


if __name__ == "__main__":
    main()
