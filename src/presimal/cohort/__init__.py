"""People who never lived: brains, tumors and whole heads with everything known about them.

Read the files in this order; each imports only from those above it:

    fields      randomness: one stream per person and purpose, smooth fields
    anatomy     the brain maps of the template, from the one real anatomy
    skull       the maps round the brain, built
    template    derived once, kept on disk, sampled anywhere
    ageing      published curves and the constants that reproduce them
    regions     where frontal lobe, hippocampus and the others are
    geometry    pose, size, warp, growing ventricles
    tissue      from the average anatomy to the tissues of one person
    vessels     what enhances in everyone
    scanner     contrast, site, bias field, resolution, noise
    tumor       gliomas: core, rim, edema, mass effect
    head        skull, scalp, face, field of view
    person      one person as numbers
    outcome     the clinical table and survival
    randomisation/  contrasts, tumors and scanners drawn anew for every batch
    subjects    the table, the truth, the images: `Cohort`
    files       all of it on disk, in the layouts of real data sets
"""

from .subjects import Batch, Cohort, Settings

__all__ = ["Batch", "Cohort", "Settings"]
