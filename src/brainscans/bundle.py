"""The tumor network as a MONAI bundle: a folder with weights, code, configuration and metadata that
`python -m monai.bundle run` uses where this package is not installed."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .contrasts import TITLES
from .tumor_segmentation import LEAST_GAIN, REGIONS, SPACING

LIBRARIES = {"monai": "monai", "pytorch": "torch", "numpy": "numpy"}
CONFIGS = Path(__file__).with_suffix(".json")
SCRIPTS = ("bundle_transforms.py", "networks/unet.py", "networks/normalization.py")  # they need torch and MONAI alone


def write_bundle(folder: Path, network: nn.Module, facts: dict, spacing: float = SPACING) -> list[str]:
    """Write the bundle of a tumor network (`networks.load("tumor")`) into a new folder and return its files. Scans are
    brought to voxels of `spacing` mm, the labels back to the grid of the scan. FileExistsError if the folder exists."""
    for part in ("configs", "models", "scripts/networks"):
        (folder / part).mkdir(parents=True)
    for package in ("scripts", "scripts/networks"):
        (folder / package / "__init__.py").touch()
    for script in SCRIPTS:
        (folder / "scripts" / script).write_bytes((CONFIGS.parent / script).read_bytes())
    for name, content in {"inference": inference(network.arguments, spacing), "metadata": metadata(facts)}.items():
        (folder / "configs" / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*"))


def inference(arguments: Any, spacing: float) -> dict:
    """What `run` does: from one 4-D NIfTI file, `--scan`, to one with labels in `--output_dir`. Not in windows:
    instance normalization looks at all that it is given, and half a head gives other answers."""
    config = json.loads(CONFIGS.read_text("utf-8"))["inference"]
    config["network_def"] |= arguments
    return config | {"spacing_mm": spacing, "least_gain": LEAST_GAIN}


def metadata(facts: dict) -> dict:
    """What MONAI asks for: where the weights come from, what goes in, what comes out, and what it is not for."""
    versions: dict[str, Any] = {f"{name}_version": version(package) for name, package in LIBRARIES.items()}
    versions["required_packages_version"] = {"nibabel": version("nibabel")}
    told = json.loads(CONFIGS.read_text("utf-8"))["metadata"]
    formats = told["network_data_format"]
    formats["inputs"]["image"]["channel_def"] = dict(enumerate(TITLES.values()))
    formats["outputs"]["pred"]["channel_def"] = dict(enumerate(REGIONS))
    return told | {"data_source": facts["data"]} | versions
