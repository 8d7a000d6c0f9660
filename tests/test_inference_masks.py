"""Pieces and holes of small masks that can be counted by hand."""

import numpy as np

from presimal.inference.scans import largest_piece, pieces, without_holes


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
