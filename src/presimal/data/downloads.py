"""The real data sets: what each costs to get, and getting it only when told so.

Libraries know addresses, checksums and how to unpack. Done here is the rest: say license and size and ask first; go on
where a download broke off; prepare a set in `NAME.unfinished` beside its place, so that what has a name is complete."""

import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from presimal.data.layouts import TASK
from synthcohort.storage import DataError, data_folder, in_one_sentence, lock


class Download(NamedTuple):
    """A real data set. `prepare` fills a folder and returns the part of it that becomes the set."""

    what: str
    license: str
    source: str
    download_gb: float  # over the network
    disk_gb: float  # needed while unpacking
    prepare: Callable[[Path], Path]


def get(name: str, yes: bool = False) -> Path:
    """The folder of a real set, downloaded first if need be and the user, or `yes`, agrees. DataError if not, and if
    network, checksum or disk stand in the way; what has arrived by then is kept and continued the next time."""
    folder, unfinished = data_folder() / name, data_folder() / f"{name}.unfinished"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _ask(name, folder, yes)
        with lock(folder):
            if not folder.is_dir():
                unfinished.mkdir(exist_ok=True)
                DOWNLOADS[name].prepare(unfinished).replace(folder)
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as problem:
        raise in_one_sentence(problem, folder) from None
    finally:
        if not any(file.is_file() and file.stat().st_size for file in unfinished.rglob("*")):
            shutil.rmtree(unfinished, ignore_errors=True)  # nothing came: leave nothing
    return folder


def _ask(name: str, folder: Path, yes: bool) -> None:
    """Say what a set costs, and ask for it unless `yes`; DataError if the disk is too small or the answer is no."""
    wanted, free = DOWNLOADS[name], shutil.disk_usage(folder.parent).free / 1e9
    print(f"{wanted.what}\n  license      {wanted.license}\n  from         {wanted.source}")
    print(f"  download     {wanted.download_gb:g} GB, checked by MD5")
    print(f"  disk         {wanted.disk_gb:g} GB needed while unpacking, {free:.1f} GB free")
    print(f"  destination  {folder}", flush=True)
    if free < wanted.disk_gb:
        lacking = f"The disk of {folder} has {free:.1f} GB free, and {wanted.disk_gb:g} GB are needed"
        raise DataError(f"{lacking}: free some space, or set PRESIMAL_DATA to a folder on another disk.")
    if not yes and not sys.stdin.isatty():
        raise DataError(f"Nothing is downloaded without your word: say yes=True, or run 'presimal data {name} --yes'.")
    if not yes and input("Download it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise DataError(f"{name} was not downloaded, as you wished.")


def fetch(url: str, file: Path, md5: str = "") -> Path:
    """Download a file, or the rest of one; DataError of the network or the checksum, OSError of the disk."""
    import gdown
    import pooch

    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not file.exists():  # it has its name only when all of it has come
            gdown.download(url, str(file), resume=True, use_cookies=False)
    except (OSError, gdown.exceptions.DownloadError) as problem:  # those of requests are OSErrors
        if getattr(problem, "errno", None) and not isinstance(problem, ConnectionError):
            raise  # the disk
        said = "cannot be reached or broke off: check the network and start again; what has arrived is kept"
        if (response := getattr(problem, "response", None)) is not None:
            said = f"answered {response.status_code}: start again later"
        raise DataError(f"{url} {said}.") from None
    if md5 and pooch.file_hash(str(file), alg="md5") != md5:
        file.unlink()
        raise DataError(f"What {url} sent does not have its published checksum: start again later.")
    return file


def _ixi(folder: Path) -> Path:
    from torchio.datasets import IXI

    archive = fetch(IXI.base_url.format(modality="T1"), folder / "IXI-T1.tar", IXI.md5_dict["T1"])
    return _with_table(_unpack(archive, folder / "IXI", "T1_images"))


def _ixi_tiny(folder: Path) -> Path:
    from torchio.datasets.ixi import IXITiny

    _unpack(fetch(IXITiny.url, folder / "ixi_tiny.zip", IXITiny.md5), folder / "unpacked")
    shutil.rmtree(folder / "IXITiny", ignore_errors=True)
    (folder / "unpacked" / "ixi_tiny").replace(folder / "IXITiny")
    return _with_table(folder / "IXITiny")


def _msd(folder: Path) -> Path:
    from monai.apps import DecathlonDataset

    archive = fetch(DecathlonDataset.resource[TASK], folder / f"{TASK}.tar", DecathlonDataset.md5[TASK])
    return _unpack(archive, folder / "msd")  # DecathlonDataset takes this folder as its root_dir


def _unpack(archive: Path, folder: Path, inside: str = "") -> Path:
    """Unpack into a folder that is made anew, for an earlier attempt may have been interrupted."""
    from monai.apps import extractall

    shutil.rmtree(folder, ignore_errors=True)
    extractall(archive, folder / inside, has_base=False)
    return folder


def _with_table(folder: Path) -> Path:
    """With dataset.csv, which fastMONAI makes of the images that it finds there and the table of IXI's people."""
    from fastMONAI import external_data as known

    fetch(known.MURLs.IXI_DEMOGRAPHIC_INFORMATION, folder / "IXI.xls")
    (known.download_ixi_tiny if folder.name == "IXITiny" else known.download_ixi_data)(folder.parent)
    table = pd.read_csv(folder / "dataset.csv")
    for column, inside in (("t1_path", None), ("labels", "label")):
        if column in table:  # paths from before the move: keep what follows the folder
            table[column] = [f"{inside or Path(path).parent.name}/{Path(path).name}" for path in table[column]]
    table.to_csv(folder / "dataset.csv", index=False)
    return folder


_PREPARE = {"ixi": _ixi, "ixi-tiny": _ixi_tiny, "msd": _msd}
_COSTS = tomllib.loads(Path(__file__).with_name("downloads.toml").read_text("utf-8"))
DOWNLOADS = {name: Download(**_COSTS[name], prepare=prepare) for name, prepare in _PREPARE.items()}
