"""Seeded mutations of small files: each ends in one sentence or in an image, no damaged stream passes for a good one.

A few hundred in the ordinary run; thousands with PRESIMAL_LONG_TESTS=1, as once a week.
"""

import bz2
import gzip
import os
import random
import warnings
import zlib
from collections import Counter

import nibabel as nib
import numpy as np
import pytest

from brainscans.reading import read_image
from brainscans.writing import image_like
from synthcohort.storage import DataError

MUTATIONS = 1500 if os.environ.get("PRESIMAL_LONG_TESTS") == "1" else 100  # of each kind of file
VALUES = np.random.default_rng(0).integers(1, 900, (9, 11, 10)).astype(np.int16)
FOUR = np.random.default_rng(1).integers(1, 900, (9, 11, 10, 4)).astype(np.int16)
AFFINE = np.array([[-2.0, 0.1, 0, 9], [0.1, 2, 0, -11], [0, 0, 2.5, 4], [0, 0, 0, 1]])


def content(values, kind=nib.Nifti1Image):
    image = kind(values, AFFINE)
    image.set_sform(AFFINE, 1)
    image.set_qform(AFFINE, 1)
    return image.to_bytes()


# Name of a file, channels, its bytes, and how much of it counts as its header.
FILES = {
    "plain": ("a.nii", 1, content(VALUES), 352),
    "NIfTI-2": ("a.nii", 1, content(VALUES, nib.Nifti2Image), 544),
    "compressed": ("a.nii.gz", 1, gzip.compress(content(VALUES), 6, mtime=0), 300),
    "four volumes": ("a.nii.gz", 4, gzip.compress(content(FOUR), 1, mtime=0), 300),
    "bzip2": ("a.nii.bz2", 1, bz2.compress(content(VALUES)), 90),
    "header within a sound stream": ("a.nii.gz", 1, content(VALUES), 352),
    "FreeSurfer": ("a.mgh", 1, nib.MGHImage(VALUES, AFFINE).to_bytes(), 90),
}


def mutated(whole: bytes, header: int, draw: random.Random) -> bytes:
    """One of the ways in which files are spoiled on disks and networks, or by programs that write odd headers."""
    spoiled, where = bytearray(whole), draw.randrange(len(whole))
    way = draw.choice(("bit", "bit", "header", "header", "field", "cut", "zeros", "grown", "swapped", "doubled"))
    if way == "bit":
        spoiled[where] ^= 1 << draw.randrange(8)
    elif way == "header":
        for _ in range(draw.choice((1, 1, 2, 8))):
            spoiled[draw.randrange(header)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    elif way == "field":  # a number of two or four bytes, of an extreme value
        start = draw.randrange(0, header - 4, 2)
        odd = (
            b"\xff\xff",
            b"\0\x80",
            b"\0\0",
            b"\0\0\xc0\x7f",
            b"\0\0\x80\x7f",
            b"\xff\xff\xff\x7f",
            b"\x99\x76\x96\x7e",
        )
        value = draw.choice(odd)
        spoiled[start : start + len(value)] = value
    elif way == "cut":
        del spoiled[where:]
    elif way == "zeros":
        spoiled[where : where + 200] = bytes(len(spoiled[where : where + 200]))
    elif way == "grown":
        spoiled += draw.randbytes(draw.randrange(1, 600))
    elif way == "swapped":
        spoiled[where : where + 2] = spoiled[where : where + 2][::-1]
    else:
        spoiled[where:where] = spoiled[where : where + draw.randrange(1, 64)]
    return bytes(spoiled)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore::brainscans.refusal.ScanWarning")
def test_every_mutation_ends_in_a_sentence_or_in_an_image(tmp_path, name):
    file, channels, whole, header = FILES[name]
    draw, counts = random.Random(name), Counter()
    path, expected = tmp_path / file, FOUR if channels == 4 else VALUES
    for number in range(MUTATIONS):
        spoiled = mutated(whole, header, draw)
        path.write_bytes(gzip.compress(spoiled, 1) if name.startswith("header") else spoiled)
        about = f"mutation {number}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                values, affine = read_image(path, channels)
        except DataError as problem:
            said = str(problem)
            assert said.startswith(f"{path}: ") and said.endswith(".") and "; " in said and "\n" not in said, about
            counts["refused"] += 1
            continue
        assert values.ndim == (3 if channels == 1 else 4) and np.isfinite(values).all(), about
        assert np.isfinite(affine).all() and abs(np.linalg.det(affine)) > 0, about
        same = values.shape == expected.shape and np.array_equal(values, expected)
        counts["the same voxels" if same else "other voxels"] += 1
        if path.suffix in (".gz", ".bz2"):
            assert same or name.startswith("header"), about
        if path.suffix == ".gz":
            stream = zlib.decompressobj(31)  # what zlib itself thinks of it
            stream.decompress(path.read_bytes())
            assert stream.eof, about
        written = image_like(np.zeros(values.shape[:3], np.uint8), path)
        assert np.allclose(written.affine, affine, rtol=1e-4, atol=1e-2 * np.abs(affine).max()), about
    print(f"{name}: {dict(counts)}")
    assert counts["refused"]
