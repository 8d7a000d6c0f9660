"""The wheel by itself: built here, installed into a fresh environment, used where there is no checkout.

The libraries are those of the environment that runs the tests, so nothing is downloaded. Its own install of the project
stays out of sight, because a folder named in a .pth file is not searched for further .pth files.
"""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from presimal.cli.views import for_students
from synthcohort import Cohort

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built as pip would build it, but without asking the network for what builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """What runs the fresh environment's Python in an empty folder: installed(folder, *arguments) -> what it printed."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)}, scheme="venv")
    python = Path(paths["scripts"]) / ("python.exe" if os.name == "nt" else "python")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(pip, check=True)
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(paths["purelib"]) / "libraries.pth").write_text("\n".join(sorted(libraries)))
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}

    def run(folder, *arguments):
        done = subprocess.run(
            [python, *arguments], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.package = Path(paths["purelib"]) / "presimal"
    return run


def contents(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if "__pycache__" not in file.parts}


def test_it_holds_what_a_student_needs_and_no_test(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind, folder in (("*.ipynb", "notebooks"), ("*.md", "notebooks"), ("*.png", "assets/figures")):
        files = list((ROOT / folder).glob(kind))
        assert files and {f"presimal/{folder}/{file.name}" for file in files} <= names
    weights = list((ROOT / "assets" / "weights").glob("*.safetensors"))
    assert weights and {f"brainscans/weights/{file.name}" for file in weights} <= names
    data = [file for file in (ROOT / "src").rglob("*.*") if file.suffix in (".csv", ".toml", ".json")]
    assert data and {file.relative_to(ROOT / "src").as_posix() for file in data} <= names
    packages = [folder.name for folder in (ROOT / "src").iterdir() if (folder / "__init__.py").is_file()]
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {*packages}
    beside = {file.relative_to(ROOT / "assets" / "jupyter") for file in (ROOT / "assets" / "jupyter").rglob("*.j*")}
    assert len(beside) >= 5  # what JupyterLab and nbconvert read, below the folder of the environment
    ends = [f"{'etc/jupyter' if path.parts[0] == 'config' else 'share/jupyter/' + path.parts[0]}/" for path in beside]
    for path, place in zip(beside, ends, strict=True):
        assert any(name.endswith(place + "/".join(path.parts[1:])) for name in names), path
    assert not any("my_work" in name or "test" in Path(name).name for name in names)


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    packages = [folder.name for folder in (ROOT / "src").iterdir() if (folder / "__init__.py").is_file()]
    code = f"import {', '.join(packages)}; print(*(package.__file__ for package in ({', '.join(packages)})), sep='\\n')"
    places = [Path(line).parent for line in installed(tmp_path, "-c", code).splitlines()]
    assert places == [installed.package.with_name(package) for package in packages]


def test_check_says_ready_without_a_checkout(installed, tmp_path):
    said = installed(tmp_path, "-m", "presimal", "check")
    assert "Ready: start with" in said and f"{len(list((ROOT / 'notebooks').glob('*.ipynb')))}, and your copies" in said


def test_a_notebook_runs_and_leaves_nothing_behind(installed, tmp_path):
    before = contents(installed.package)
    said = installed(tmp_path, "-m", "presimal", "run", "00")
    assert "1 of 1 passed" in said and "baseline" in said
    assert contents(installed.package) == before and not list(tmp_path.iterdir())


def test_strip_finds_the_brain_of_a_head(installed, tmp_path):
    batch = Cohort(77, rotation=4.0).render([3], "head", 4.0)
    head = (batch.images[0, 0] * 500).round().numpy().astype(np.int16)
    nib.save(nib.Nifti1Image(head, batch.affine.numpy()), tmp_path / "head.nii.gz")
    said = installed(tmp_path, "-m", "presimal", "strip", "head.nii.gz")
    assert " ml, agreement " in said
    mask = np.asanyarray(nib.load(tmp_path / "head_mask.nii.gz").dataobj) > 0
    truth = batch.labels[0].squeeze().numpy() > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9


def test_lab_opens_copies_in_the_folder_where_it_is_called(installed, tmp_path):
    code = "import subprocess; subprocess.call = lambda command, env: print(*command) or 0; "
    said = installed(tmp_path, "-c", code + "from presimal.cli import main; main(['lab'])")
    assert f"--ServerApp.root_dir={tmp_path}" in said and "-m jupyterlab" in said
    copies = {file.name: file.read_bytes() for file in (tmp_path / "my_work").glob("*.ipynb")}
    assert copies == {file.name: for_students(file.read_bytes()) for file in (ROOT / "notebooks").glob("*.ipynb")}
