"""Weights that come with the workshop: safetensors files, with nothing to unpickle, of the parameters of one network;
the header holds the class and the arguments that rebuild it, and how it was trained."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model
from safetensors.torch import save as to_bytes
from torch import nn

from synthcohort.storage import DataError, write_atomically

from .age import AgeNet
from .unet import UNet

NETWORKS = {"AgeNet": AgeNet, "UNet": UNet}
# In a clone of the repository, and in an installed package (see pyproject.toml).
FOLDERS = (Path(__file__).parents[3] / "assets" / "weights", Path(__file__).parents[1] / "weights")


def save(model: nn.Module, file: Path | str, **metadata: Any) -> None:
    """Write a network, in float16, with its class, `model.arguments` and metadata (JSON) on how it was trained."""
    header = {"network": type(model).__name__, "arguments": model.arguments, **metadata}
    halves = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    tensors = {key: value.cpu().contiguous() for key, value in halves.items()}
    write_atomically(Path(file), to_bytes(tensors, {"presimal": json.dumps(header)}))


def load(name: str, device: torch.device | str = "cpu") -> tuple[nn.Module, dict]:
    """The network `name`, or of a file, in evaluation mode, and its header. DataError: not there, or damaged."""
    files = [Path(name)] if Path(name).suffix == ".safetensors" else [f / f"{name}.safetensors" for f in FOLDERS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        known = ", ".join(sorted({file.stem for folder in FOLDERS for file in folder.glob("*.safetensors")}))
        raise DataError(f"There are no weights {name!r}: choose from {known or 'none, as none are installed'}.")
    try:
        with safe_open(file, "pt") as content:
            header = json.loads(content.metadata()["presimal"])
        model = NETWORKS[header["network"]](**header["arguments"])
        load_model(model, file)  # which makes them float32 again
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError):
        raise DataError(f"{file} is damaged or holds another network: get it again from the repository.") from None
    return model.to(device).eval(), header
