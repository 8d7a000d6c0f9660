"""The real data sets: what each costs to get, and getting it only when told so.

Libraries know addresses, checksums and how to unpack. Here license and size are said first, a download goes on where
it broke off, and a set is prepared in `NAME.unfinished`, so that what has its name is complete."""

import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from presimal.data.fetching import fetch, is_whole
from presimal.data.layouts import TASK
from presimal.data.real_scans import EXAMPLE, SCANS, Scan, terms
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
    folder = data_folder() / name
    if not folder.is_dir():
        with _making(folder, name, DOWNLOADS[name], folder, yes) as unfinished:
            if not folder.is_dir():
                unfinished.mkdir(exist_ok=True)
                DOWNLOADS[name].prepare(unfinished).replace(folder)
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


@contextmanager
def _making(folder: Path, name: str, wanted: Download, place: Path, yes: bool) -> Iterator[Path]:
    """Ask, and hold the lock; gives a folder to fill, which is removed if it is left empty. DataError of the disk."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _ask(name, wanted, place, yes)
        with lock(folder):
            yield unfinished
    except OSError as problem:
        raise in_one_sentence(problem, folder) from None
    finally:
        if not any(file.is_file() and file.stat().st_size for file in unfinished.rglob("*")):
            shutil.rmtree(unfinished, ignore_errors=True)


def real_scan(file: str, yes: bool = False) -> Path:
    """One file of `real-scans`, such as EXAMPLE, downloaded first if need be and the user, or `yes`, agrees, else
    DataError in one line that says what would be done. `get` goes on from what is there."""
    home = data_folder() / REAL_SCANS
    if (scan := SCANS.get(file)) is None:
        raise DataError(f"{file!r} is none of the public scans, which real_scans.csv lists; one is {EXAMPLE!r}.")
    places = home / file, home.with_name(f"{REAL_SCANS}.unfinished") / REAL_SCANS / file
    digest = f"sha256:{scan.sha256}"
    if found := [place for place in places if is_whole(place, digest)]:
        return found[0]
    would = f"download {scan.bytes / 1e6:.1f} MB from {scan.repository} ({scan.license}), no training data"
    if not yes and not sys.stdin.isatty():
        raise DataError(f"{file} is not here: real_scan({file!r}, yes=True) would {would}.")
    size = scan.bytes / 1e9
    cost = Download(file, terms([scan])[0], scan.repository, size, size, lambda folder: _fetch_scan(scan, folder))
    with _making(home, file, cost, places[0], yes) as unfinished:  # another process may have got it
        return places[0] if is_whole(places[0], digest) else cost.prepare(unfinished / REAL_SCANS)


def _ask(name: str, wanted: Download, folder: Path, yes: bool) -> None:
    """Say what is wanted costs, and ask for it unless `yes`; DataError if the disk is too small or the answer is no."""
    free, costs = shutil.disk_usage(data_folder()).free / 1e9, (wanted.download_gb, wanted.disk_gb)
    sent, kept = (f"{gb:g} GB" if gb >= 0.1 else f"{1000 * gb:.1f} MB" for gb in costs)
    print(f"{wanted.what}\n  license      {wanted.license}\n  from         {wanted.source}")
    print(f"  download     {sent}, checked by published checksums")
    print(f"  disk         {kept} needed while unpacking, {free:.1f} GB free\n  destination  {folder}", flush=True)
    if free < wanted.disk_gb:
        lacking = f"The disk of {folder} has {free:.1f} GB free, and {wanted.disk_gb:g} GB are needed"
        raise DataError(f"{lacking}: free some space, or set PRESIMAL_DATA to a folder on another disk.")
    if not yes and not sys.stdin.isatty():
        raise DataError(f"Nothing is downloaded without your word: say yes=True, or run 'presimal data {name} --yes'.")
    if not yes and input("Download it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise DataError(f"{name} was not downloaded, as you wished.")


def _fetch_scan(scan: Scan, folder: Path) -> Path:
    """One public scan in a folder, whole and with its checksum, or not there; errors as `fetch`."""
    what = f"{scan.file} ({scan.bytes / 1e6:.1f} MB from {scan.repository}, {scan.license})"
    return fetch(scan.url, folder / scan.file, f"sha256:{scan.sha256}", what)


def _real_scans(folder: Path) -> Path:
    for scan in tqdm(SCANS.values(), unit="file", leave=False):
        _fetch_scan(scan, folder / REAL_SCANS)
    return folder / REAL_SCANS


def _ixi(folder: Path) -> Path:
    from torchio.datasets import IXI

    archive = fetch(IXI.base_url.format(modality="T1"), folder / "IXI-T1.tar", f"md5:{IXI.md5_dict['T1']}")
    return _with_table(_unpack(archive, folder / "IXI", "T1_images"))


def _ixi_tiny(folder: Path) -> Path:
    from torchio.datasets.ixi import IXITiny

    _unpack(fetch(IXITiny.url, folder / "ixi_tiny.zip", f"md5:{IXITiny.md5}"), folder / "unpacked")
    shutil.rmtree(folder / "IXITiny", ignore_errors=True)
    (folder / "unpacked" / "ixi_tiny").replace(folder / "IXITiny")
    return _with_table(folder / "IXITiny")


def _msd(folder: Path) -> Path:
    from monai.apps import DecathlonDataset

    archive = fetch(DecathlonDataset.resource[TASK], folder / f"{TASK}.tar", f"md5:{DecathlonDataset.md5[TASK]}")
    return _unpack(archive, folder / "msd")  # DecathlonDataset takes this folder as its root_dir


def _unpack(archive: Path, folder: Path, inside: str = "") -> Path:
    """Unpack into a folder made anew, for one may be left half full; DataError, as for paths that lead out of it."""
    from monai.apps import extractall

    shutil.rmtree(folder, ignore_errors=True)
    try:
        extractall(archive, folder / inside, has_base=False)
    except OSError:  # of the disk
        raise
    except Exception as problem:  # of tarfile, zipfile, zlib and MONAI, which refuses paths that lead elsewhere
        shutil.rmtree(archive.parent)
        cause = " ".join(str(problem).split()) or type(problem).__name__
        raise DataError(f"{archive} cannot be unpacked ({cause}) and is deleted: start again later.") from None
    return folder


def _with_table(folder: Path) -> Path:
    """With dataset.csv, which fastMONAI makes of the images that it finds there and the table of IXI's people."""
    from fastMONAI import external_data as known

    url = known.MURLs.IXI_DEMOGRAPHIC_INFORMATION
    people = fetch(url, folder / "IXI.xls")
    try:
        (known.download_ixi_tiny if folder.name == "IXITiny" else known.download_ixi_data)(folder.parent)
    except OSError:
        raise
    except Exception:  # of pandas and what it reads with: no checksum is published
        people.unlink()
        raise DataError(f"What {url} sent is not the table of IXI's people: start again later.") from None
    table = pd.read_csv(folder / "dataset.csv")
    for column, inside in (("t1_path", None), ("labels", "label")):
        if column in table:  # paths from before the move: keep what follows the folder
            table[column] = [f"{inside or Path(path).parent.name}/{Path(path).name}" for path in table[column]]
    table.to_csv(folder / "dataset.csv", index=False)
    return folder


REAL_SCANS = "real-scans"
_PREPARE = {"ixi": _ixi, "ixi-tiny": _ixi_tiny, "msd": _msd, REAL_SCANS: _real_scans}
_COSTS = tomllib.loads(Path(__file__).with_name("downloads.toml").read_text("utf-8"))
_BYTES = sum(scan.bytes for scan in SCANS.values())
_COSTS[REAL_SCANS] |= {"license": "\n               ".join(terms(SCANS.values()))}
_COSTS[REAL_SCANS] |= {"download_gb": round(_BYTES / 1e9, 3), "disk_gb": round(1.05 * _BYTES / 1e9, 3)}
DOWNLOADS = {name: Download(**_COSTS[name], prepare=prepare) for name, prepare in _PREPARE.items()}
