"""Pieces and holes of small masks that can be counted by hand, and the file that a mask is written to."""

import nibabel as nib
import numpy as np

from brainscans.scans import largest_piece, pieces, without_holes, write_like


def boxes(*slices) -> np.ndarray:
    mask = np.zeros((12, 12, 12), bool)
    for start, stop in slices:
        mask[start:stop, start:stop, start:stop] = True
    return mask


def test_pieces_touch_by_faces():
    _, voxels = pieces(boxes((0, 2), (2, 5)))  # two cubes that share a corner only
    assert voxels.tolist() == [0, 8, 27]


def test_the_largest_piece_and_nothing_of_nothing():
    assert np.array_equal(largest_piece(boxes((0, 2), (3, 6))), boxes((3, 6)))
    assert not largest_piece(boxes()).any() and not without_holes(boxes()).any()


def test_a_hole_is_filled_and_a_dent_is_not():
    mask = boxes((1, 9))
    mask[4:6, 4:6, 4:6] = False
    mask[1:3, 4, 4] = False  # open to the outside
    expected = boxes((1, 9))
    expected[1:3, 4, 4] = False
    assert np.array_equal(without_holes(mask), expected)
    whole = np.ones((4, 4, 4), bool)  # up to the border
    whole[2, 2, 2] = False
    assert without_holes(whole).all()


def test_a_mask_is_displayed_in_its_own_range_and_written_the_same_every_time(tmp_path):
    """The range of brightness in which a viewer shows the scan would show a mask of ones black."""
    scan = nib.Nifti1Image(np.full((8, 9, 10), 700, np.int16), np.diag([2, 2, 2, 1.0]))
    scan.header["cal_min"], scan.header["cal_max"] = 200, 1000
    nib.save(scan, tmp_path / "scan.nii.gz")
    mask = np.zeros(scan.shape, np.uint8)
    mask[2:5] = 1
    files = [write_like(tmp_path / name / "mask.nii.gz", mask, tmp_path / "scan.nii.gz") for name in "ab"]
    written = nib.load(files[0])
    assert (float(written.header["cal_min"]), float(written.header["cal_max"])) == (0, 0)
    assert np.array_equal(np.asarray(written.dataobj), mask) and np.array_equal(written.affine, scan.affine)
    assert files[0].read_bytes()[4:8] == bytes(4)  # gzip would store the time there
    assert files[0].read_bytes() == files[1].read_bytes()
