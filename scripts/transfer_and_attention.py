"""What notebook 04 shows of transfer and of attention, and trains only in part: the same code, more starts.

    python scripts/transfer_and_attention.py

Runs those cells of the notebook that make its slices, its families and its loop, so that what is measured here is what
is shown there. Transfer: AUC for tumor with 10, 25 or 50 labeled patients of five starts, from scratch, from a contrast
network, and with its layers frozen; and how far the fine-tuned networks are ahead of each, paired by test patient.
Attention: the share of test slices whose contrast is told, of three starts of four families after few and after many
epochs, and the share when the patches of the slice are rearranged. Writes transfer.csv and attention.csv; about seven
CPU-minutes."""

import argparse
import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import torch

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "04_convolutional_networks.ipynb"
TRANSFER, ATTENTION = (Path(__file__).with_name(name) for name in ("transfer.csv", "attention.csv"))
AMOUNTS, STARTS = (10, 25, 50), range(5)
EPOCHS, SEEDS = (12, 40), range(3)  # of the families that are asked for the contrast
MADE = """volumes areas matched prepare X LAYERS cnn mlp Batches fit probability y_test judge move asked_of y_which
activations pooled layers_of scaled probe augment from_contrasts frozen patches_of Attention rearranged""".split()


def sources(wanted: Iterable[str], notebook: Path = NOTEBOOK) -> list[str]:
    """The setup cells, and those that give one of the wanted names, in order; the attempts and checks left out."""
    found, missing = [], set(wanted)
    for cell in nbformat.read(notebook, as_version=4).cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or {"install", "exercise", "check"} & set(tags):
            continue
        tree = ast.parse(cell.source)
        given = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        given |= {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        if "setup" in tags or given & set(wanted):
            found.append(cell.source)
            missing -= given
    assert not missing, f"the notebook no longer makes {missing}"
    return found


def transfer(nb: dict[str, Any]) -> pd.DataFrame:
    """A row for each way and number of patients: the AUC of each start, and how far fine-tuning is ahead."""
    with_few, frozen, rows = nb["with_few"], nb["frozen"], []
    untrained = []
    for seed in STARTS:
        nb["compute"].seed_everything(100 + seed)
        untrained.append(nb["cnn"]().eval())
    for n in AMOUNTS:
        said = {
            "fine-tuned": [with_few(n, k, lambda k=k: nb["from_contrasts"](nb["which"][k])) for k in STARTS],
            "from scratch": [with_few(n, k) for k in STARTS],
            "from scratch, 370 steps": [with_few(n, k, steps=370) for k in STARTS],
            "frozen": [frozen(nb["which"][k], n) for k in STARTS],
            "frozen, random weights": [frozen(network, n) for network in untrained],
        }
        if n == 25:
            said["370 steps, not augmented"] = [with_few(n, k, steps=370, change=None) for k in STARTS]
        for way, ps in said.items():
            scores = {f"auc_{k}": nb["auc"](nb["y_test"], p) for k, p in zip(STARTS, ps, strict=True)}
            if way != "fine-tuned":
                ahead = nb["judge"](nb["auc"], said["fine-tuned"], minus=ps)
                scores |= dict(zip(["ahead", "low", "high"], ahead, strict=True))
            rows.append({"way": way, "patients": n} | scores)
            print(pd.DataFrame(rows).tail(1).round(3).to_string(header=False), flush=True)
    return pd.DataFrame(rows)


@torch.inference_mode()
def share_told(nb: dict[str, Any], network: torch.nn.Module, slices: torch.Tensor) -> float:
    return float((network(slices).argmax(1) == nb["y_which"][nb["test_which"]]).float().mean())


def attention(nb: dict[str, Any]) -> pd.DataFrame:
    """A row for each family, number of epochs and start: the share of slices told, as they are and rearranged."""
    families = {"CNN": nb["cnn"], "MLP": nb["mlp"], "attention": nb["Attention"]}
    families = {name: lambda family=family: family(outputs=4) for name, family in families.items()}
    families["attention, no positions"] = lambda: nb["Attention"](positions=False)
    slices, rows = nb["X_which"][nb["test_which"]], []
    loss = torch.nn.functional.cross_entropy
    for epochs in EPOCHS:
        for name, family in families.items():
            for seed in SEEDS:
                network = nb["asked_of"](family, nb["y_which"], loss, epochs=epochs, seed=seed)
                told, mixed = share_told(nb, network, slices), share_told(nb, network, nb["rearranged"](slices))
                rows.append({"family": name, "epochs": epochs, "start": seed, "as_is": told, "rearranged": mixed})
            print(pd.DataFrame(rows).tail(len(SEEDS)).round(3).to_string(header=False), flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    nb: dict[str, Any] = {}
    for source in sources(MADE):
        exec(source, nb)
        nb["SEEDS"] = STARTS  # so that there is a contrast network for each start
    transfer(nb).round(3).to_csv(TRANSFER, index=False)
    attention(nb).round(3).to_csv(ATTENTION, index=False)


if __name__ == "__main__":
    main()
