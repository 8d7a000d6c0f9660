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

HERE = Path(__file__).parent
SCRIPTS = ("bundle_transforms.py", "networks/unet.py", "networks/normalization.py")  # they need torch and MONAI alone


def write_bundle(folder: Path, network: nn.Module, facts: dict, spacing: float = SPACING) -> list[str]:
    """Write the bundle of a tumor network (`networks.load("tumor")`) into a new folder and return its files. Scans are
    brought to voxels of `spacing` mm, the labels back to the grid of the scan. FileExistsError if the folder exists."""
    for part in ("configs", "models", "scripts/networks"):
        (folder / part).mkdir(parents=True)
    for package in ("scripts", "scripts/networks"):
        (folder / package / "__init__.py").touch()
    for script in SCRIPTS:
        (folder / "scripts" / script).write_bytes((HERE / script).read_bytes())
    configs = {"inference": inference(network.arguments, spacing), "metadata": metadata(facts)}
    for name, content in configs.items():
        (folder / "configs" / f"{name}.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.*"))


def inference(arguments: Any, spacing: float) -> dict:
    """What `run` does: from one 4-D NIfTI file, `--scan`, to one with labels in `--output_dir`."""
    before = [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
        {"_target_": "Spacingd", "keys": "image", "pixdim": "$[@spacing_mm] * 3", "mode": "bilinear"},
        {"_target_": "scripts.bundle_transforms.NormalizeInBraind", "keys": "image"},
    ]
    back = {"keys": "pred", "transform": "@preprocessing", "orig_keys": "image", "nearest_interp": False}
    kept = {"output_dir": "@output_dir", "output_postfix": "labels", "separate_folder": False, "resample": False}
    after = [
        {"_target_": "Invertd", **back},
        {"_target_": "scripts.bundle_transforms.RegionsToLabelsd", "keys": "pred"},
        {"_target_": "SaveImaged", "keys": "pred", "output_dtype": "$numpy.uint8", **kept},
    ]
    return {
        "imports": ["$import numpy", "$import torch", "$from scripts.bundle_transforms import answer"],
        "bundle_root": ".", "scan": "scan.nii.gz", "output_dir": "$@bundle_root + '/eval'",
        "spacing_mm": spacing, "least_gain": LEAST_GAIN,
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "weights": "$torch.load(@bundle_root + '/models/model.pt', map_location='cpu', weights_only=True)",
        "network_def": {"_target_": "scripts.networks.unet.UNet", **arguments},
        "preprocessing": {"_target_": "Compose", "transforms": before},
        # Not in windows: instance normalization looks at all that it is given, and half a head gives other answers.
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": after},
        "asked": ["$@preprocessing({'image': @scan})", "@inferer", "@network_def", "@device", "@least_gain"],
        "run": [
            "$@network_def.load_state_dict(@weights)",
            "$@postprocessing(answer(*@asked))",
        ],
    }  # fmt: skip


def metadata(facts: dict) -> dict:
    """What MONAI asks for: where the weights come from, what goes in, what comes out, and what it is not for."""
    spatial = {"type": "image", "modality": "MR", "is_patch_data": False, "spatial_shape": ["*", "*", "*"]}
    contrasts, regions = (dict(enumerate(names)) for names in (TITLES.values(), REGIONS))
    shape_in = {"format": "magnitude", "num_channels": 4, "dtype": "float32", "value_range": [-5, 8]}
    shape_out = {"format": "segmentation", "num_channels": 3, "dtype": "float32", "value_range": []}
    formats = {
        "inputs": {"image": {**spatial, **shape_in, "channel_def": contrasts}},
        "outputs": {"pred": {**spatial, **shape_out, "channel_def": regions}},
    }
    return {
        "version": "0.1.0", "changelog": {"0.1.0": "first"}, "task": "regions of glioma", "authors": "presimal",
        "description": "Stripped brain, FLAIR, T1, T1Gd, T2, to 1 edema, 2 non-enhancing or necrotic, 3 enhancing",
        "intended_use": "teaching; not for clinical use", "data_source": facts["data"], "copyright": "GPL-3.0-only",
        "monai_version": version("monai"), "pytorch_version": version("torch"), "numpy_version": version("numpy"),
        "required_packages_version": {"nibabel": version("nibabel")}, "network_data_format": formats,
    }  # fmt: skip
