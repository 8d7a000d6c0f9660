"""The public scans of real people that networks are examined on, as `real_scans.csv` lists them. Not for training.

A row is a file: its name, address (owner/repository/commit/path on GitHub), SHA-256, bytes, license, what to cite."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

HOST = "https://raw.githubusercontent.com"
EXAMPLE = "ixi/IXI012_t1.nii.gz"


class Scan(NamedTuple):
    """One file, of a scan or of its reference."""

    file: str
    address: str
    sha256: str
    bytes: int
    license: str
    cite: str

    @property
    def url(self) -> str:
        return f"{HOST}/{quote(self.address)}"

    @property
    def repository(self) -> str:
        return "github.com/" + "/".join(self.address.split("/")[:2])


_rows = csv.reader(Path(__file__).with_name("real_scans.csv").read_text(encoding="utf-8").splitlines()[1:])
SCANS = {file: Scan(file, address, sha256, int(size), *terms) for file, address, sha256, size, *terms in _rows}


def terms(scans: Iterable[Scan]) -> list[str]:
    """A line for each license and source of some files: how many, their size in MB, and what to cite."""
    groups: dict[tuple[str, str], list[int]] = {}
    for scan in scans:
        groups.setdefault((scan.license, scan.cite), []).append(scan.bytes)
    return [
        f"{license} ({len(sizes)} file{'s' * (len(sizes) > 1)}, {sum(sizes) / 1e6:.1f} MB): cite {cite}"
        for (license, cite), sizes in sorted(groups.items())
    ]
