"""Weights that come with the workshop: safetensors files, with nothing to unpickle, of the parameters of one network;
the header holds the class and the arguments that rebuild it, how it was trained, and checksums of both."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from synthcohort.storage import DataError, load_tensors, save_tensors

from .age import AgeNet
from .unet import UNet

NETWORKS = {"AgeNet": AgeNet, "UNet": UNet}
# In a clone of the repository, and in an installed package (see pyproject.toml).
FOLDERS = (Path(__file__).parents[3] / "assets" / "weights", Path(__file__).parents[1] / "weights")


def save(model: nn.Module, file: Path | str, **metadata: Any) -> None:
    """Write a network, in float16, with its class, `model.arguments` and metadata (JSON) on how it was trained."""
    header = json.dumps({"network": type(model).__name__, "arguments": model.arguments, **metadata})
    halves = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_tensors(Path(file), halves, presimal=header, header_checksum=_checksum(header))


def load(name: str, device: torch.device | str = "cpu", **arguments: Any) -> tuple[nn.Module, dict]:
    """The network `name`, or of a file, in evaluation mode, and its header. DataError: not there, damaged, or not made
    with these `arguments`, as channels=1."""
    files = [Path(name)] if Path(name).suffix else [folder / f"{name}.safetensors" for folder in FOLDERS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        known = ", ".join(sorted({file.stem for folder in FOLDERS for file in folder.glob("*.safetensors")}))
        raise DataError(f"There are no weights {name!r}: choose from {known or 'none, as none are installed'}.")
    try:
        with safe_open(file, "pt") as content:
            about = content.metadata()
        header = json.loads(about["presimal"])
        model = NETWORKS[header["network"]](**header["arguments"])
        model.load_state_dict(load_tensors(file) or {})  # nothing for a wrong checksum; float32 again
        sound = about["header_checksum"] == _checksum(about["presimal"])
    except PermissionError:
        raise DataError(f"{file} may not be read: ask its owner for permission.") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError):
        sound = False
    if not sound:
        raise DataError(f"{file} is damaged or holds another network, or lacks its checksum: get it again.")
    if not arguments.items() <= header["arguments"].items():
        made, wanted = ({k: of.get(k) for k in arguments} for of in (header["arguments"], arguments))
        raise DataError(f"{file} holds another network ({header['network']} of {made}): give one of {wanted}.")
    return model.to(device).eval(), header


def _checksum(header: str) -> str:
    return hashlib.blake2b(header.encode(), digest_size=16).hexdigest()
