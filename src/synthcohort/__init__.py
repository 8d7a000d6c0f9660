"""People who never lived: brains that age, gliomas and whole heads on MRI, with everything known about them.

Eight patients with a glioma, four contrasts and labels, in memory, and on disk as Task01 of the Decathlon:

    >>> from synthcohort import MSD_CONTRASTS, Cohort, ensure
    >>> patients = Cohort(seed=0).render(range(8), "tumor", 2.0, MSD_CONTRASTS)  # .images (8, 4, 80, 96, 80), .labels
    >>> folder = ensure("tumors", subjects=8, spacing=2.0)  # dataset.json, imagesTr/, labelsTr/, clinical.csv

Nothing is downloaded: the one anatomy behind all people is the ICBM152 average, which comes with nilearn. Read the
modules in this order; each imports only from those above it:

    storage        files that are there completely or not at all, and what made them
    tables         constants that stand in a .toml beside their module
    fields         randomness: one stream per person and purpose, smooth fields
    tissue_maps    `TissueMaps`: what a body is made of
    signals        the one table of what each tissue shows on each contrast
    grid           image grids in mm, values between their voxels
    people         `Person`, `People`, `Settings`: humans as numbers
    template       the one real anatomy, derived once
    warping        pose, size, warp, growing ventricles
    brain          aging; regions, tissues and vessels
    glioma         growth, looks, variation and outcome of a tumor
    head           skull, scalp, face, field of view
    scanner        sites, and how they make an image
    randomization  contrasts, poses and scanners drawn anew for every batch
    person         draw one person
    cohort         `Cohort`: the table, the truth, the images
    files          all of it on disk, in the layouts of real data sets
"""

from .cohort import Batch, Cohort
from .files import ensure
from .people import People, Person, Settings
from .tissue_maps import CONTRASTS, MSD_CONTRASTS, TissueMaps

__all__ = ["CONTRASTS", "MSD_CONTRASTS", "Batch", "Cohort", "People", "Person", "Settings", "TissueMaps", "ensure"]
