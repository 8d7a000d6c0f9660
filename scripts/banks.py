"""Tensors that are made once and kept in the data folder: what the training scripts render before they train.

A file's name holds a digest of the code that makes it, the generator's and the script's, and of all settings; the file
holds a checksum of its content: nothing old or damaged is trained on.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

import synthcohort
from synthcohort.storage import data_folder, digest, load_tensors, save_tensors


def bank(name: str, settings: dict, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of `name`, from the data folder, or from `make` if they are missing, damaged or of other code.

    `settings` is all that the tensors depend on besides the generator's code: seed, spacing, people.
    """
    code = ast.dump(ast.parse(textwrap.dedent(inspect.getsource(make))))  # comments and layout do not count
    made_by = digest(Path(synthcohort.__file__).parent, settings, code)
    file = data_folder() / "banks" / f"{name}-{made_by}.safetensors"
    tensors = load_tensors(file)
    if tensors is None:
        tensors = make()
        save_tensors(file, tensors, **{key: str(value) for key, value in settings.items()})
    return tensors
