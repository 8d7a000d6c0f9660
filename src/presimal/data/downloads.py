"""The real data sets: what each costs to get, and getting it only when told so.

The libraries know where the sets are, what their checksums are and how to unpack them (torchio,
fastMONAI, monai.apps); gdown continues a download where it broke off. A set is prepared in
`NAME.unfinished` beside its place and moved there when it is complete.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from presimal.cohort.template import data_folder
from presimal.storage import DataError, alone, in_one_sentence


@dataclass(frozen=True)
class Download:
    """A real data set: `download_gb` come over the network, `disk_gb` are needed while unpacking.

    `prepare` fills a folder and returns the part of it that becomes the set.
    """

    what: str
    licence: str
    source: str
    download_gb: float
    disk_gb: float
    checksum: str
    prepare: Callable[[Path], Path]


def get(name: str, yes: bool = False) -> Path:
    """The folder of a real set, downloaded now if it is not there yet.

    First licence, size, free disk and destination are printed. It goes on if `yes` is set or the
    user agrees at the prompt. Raises DataError if not, and if the network, the checksum or the disk
    stand in the way; what has arrived by then is kept and continued the next time.
    """
    folder = data_folder() / name
    if folder.is_dir():
        return folder
    wanted = DOWNLOADS[name]
    unfinished = folder.with_name(f"{name}.unfinished")
    try:
        data_folder().mkdir(parents=True, exist_ok=True)
        _announce(wanted, folder)
        _agree(name, yes)
        with alone(folder):
            if not folder.is_dir():
                unfinished.mkdir(exist_ok=True)
                wanted.prepare(unfinished).replace(folder)
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as problem:
        raise in_one_sentence(problem, folder) from None
    finally:
        if not any(file.is_file() and file.stat().st_size for file in unfinished.rglob("*")):
            shutil.rmtree(unfinished, ignore_errors=True)  # nothing came: leave nothing
    return folder


def _announce(wanted: Download, folder: Path) -> None:
    free = shutil.disk_usage(folder.parent).free / 1e9
    print(
        f"{wanted.what}\n  licence      {wanted.licence}\n  from         {wanted.source}\n"
        f"  download     {wanted.download_gb:g} GB, {wanted.checksum}\n"
        f"  disk         {wanted.disk_gb:g} GB needed while unpacking, {free:.1f} GB free\n"
        f"  destination  {folder}",
        flush=True,
    )
    if free < wanted.disk_gb:
        raise DataError(
            f"The disk of {folder} has {free:.1f} GB free, and {wanted.disk_gb:g} GB are needed: "
            "free some space, or set PRESIMAL_DATA to a folder on another disk."
        )


def _agree(name: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise DataError(f"Nothing is downloaded without your word: say yes=True, or run 'presimal data {name} --yes'.")
    if input("Download it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise DataError(f"{name} was not downloaded, as you wished.")


def fetch(url: str, file: Path, md5: str = "") -> Path:
    """Download a file with progress, from where an earlier attempt broke off.

    Raises DataError if the server cannot be reached, breaks off, or sends something else than the
    checksum says; OSError if the disk is full.
    """
    import gdown
    import pooch

    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not file.exists():  # it has its name only when all of it has come
            gdown.download(url, str(file), resume=True, use_cookies=False)
    except (OSError, gdown.exceptions.DownloadError) as problem:  # those of requests are OSErrors
        if getattr(problem, "errno", None) and not isinstance(problem, ConnectionError):
            raise  # the disk
        if getattr(problem, "response", None) is not None:
            answer = problem.response.status_code
            raise DataError(f"{url} answered {answer}: start again later.") from None
        raise DataError(
            f"{url} cannot be reached or broke off: check the network and start again; what has arrived is kept."
        ) from None
    if md5 and pooch.file_hash(str(file), alg="md5") != md5:
        file.unlink()
        raise DataError(f"What {url} sent does not have its published checksum: start again later.")
    return file


def _ixi(folder: Path) -> Path:
    from fastMONAI.external_data import MURLs, download_ixi_data
    from monai.apps import extractall
    from torchio.datasets import IXI

    url, md5 = IXI.base_url.format(modality="T1"), IXI.md5_dict["T1"]
    archive, done = fetch(url, folder / "IXI-T1.tar", md5), folder / "IXI"
    shutil.rmtree(done, ignore_errors=True)
    extractall(archive, done / "T1_images", has_base=False)
    fetch(MURLs.IXI_DEMOGRAPHIC_INFORMATION, done / "IXI.xls")
    download_ixi_data(folder)  # finds all images there, and makes the table
    return _with_relative_paths(done)


def _ixi_tiny(folder: Path) -> Path:
    from fastMONAI.external_data import MURLs, download_ixi_tiny
    from monai.apps import extractall
    from torchio.datasets.ixi import IXITiny

    archive, done = fetch(IXITiny.url, folder / "ixi_tiny.zip", IXITiny.md5), folder / "IXITiny"
    for unpacked in (folder / "ixi_tiny", done):
        shutil.rmtree(unpacked, ignore_errors=True)
    extractall(archive, folder)
    (folder / "ixi_tiny").replace(done)
    fetch(MURLs.IXI_DEMOGRAPHIC_INFORMATION, done / "IXI.xls")
    download_ixi_tiny(folder)  # likewise
    return _with_relative_paths(done)


def _msd(folder: Path) -> Path:
    from monai.apps import DecathlonDataset, extractall

    task = "Task01_BrainTumour"
    url, md5 = DecathlonDataset.resource[task], DecathlonDataset.md5[task]
    archive = fetch(url, folder / f"{task}.tar", md5)
    done = folder / "msd"
    shutil.rmtree(done, ignore_errors=True)
    extractall(archive, done)
    return done  # DecathlonDataset takes this folder as its root_dir


def _with_relative_paths(folder: Path) -> Path:
    """dataset.csv holds paths from before the move: keep what follows the folder."""
    table = pd.read_csv(folder / "dataset.csv")
    for column, inside in (("t1_path", None), ("labels", "label")):
        if column in table:
            parts = [Path(path).parts for path in table[column]]
            table[column] = [f"{inside or part[-2]}/{part[-1]}" for part in parts]
    table.to_csv(folder / "dataset.csv", index=False)
    return folder


_IXI_LICENCE = "CC BY-SA 3.0; acknowledge brain-development.org where you publish"
DOWNLOADS = {
    "ixi": Download(
        "IXI: T1 images of 581 healthy people, scanned in three London hospitals", _IXI_LICENCE,
        "biomedic.doc.ic.ac.uk", 4.51, 9.1, "checked by MD5", _ixi,
    ),
    "ixi-tiny": Download(
        "IXITiny: 566 of the IXI images at 83 x 44 x 55 voxels, with brain masks", _IXI_LICENCE,
        "dropbox.com (TorchIO)", 0.5, 1.1, "at most, checked by MD5", _ixi_tiny,
    ),
    "msd": Download(
        "Medical Segmentation Decathlon, Task01: 484 gliomas with labels, 266 without",
        "CC BY-SA 4.0; cite Antonelli and others, Nat Commun 13:4128, 2022",
        "msd-for-monai.s3-us-west-2.amazonaws.com", 7.09, 14.3, "checked by MD5", _msd,
    ),
}  # fmt: skip
