"""Data folders for the tests."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A data folder of its own with six people in each set of the cohort, voxels of 8 mm."""
    from synthcohort import files

    folder = _with_template(tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESIMAL_DATA", str(folder))
        for name in files.SETS:
            files.ensure(name, 6, 8.0, progress=False)
    return folder


@pytest.fixture
def data_home(tmp_path, monkeypatch):
    """An empty data folder, in use; only the template is there, because deriving it takes long."""
    folder = _with_template(tmp_path / "data")
    monkeypatch.setenv("PRESIMAL_DATA", str(folder))
    return folder


@pytest.fixture
def open_folder():
    """A folder that everybody may enter; pytest keeps its own from other users."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder).resolve()


def _with_template(folder):
    from synthcohort.template import template_file

    kept = template_file(2).parent
    folder.mkdir(exist_ok=True)
    try:
        (folder / "template").symlink_to(kept, target_is_directory=True)
    except OSError:  # Windows without the right to make links
        shutil.copytree(kept, folder / "template")
    return folder
