"""Scans of real heads in, answers out: a mask of the brain, the regions of a tumor, an age. Not for clinical use.

    from brainscans.skull_stripping import strip
    brain, brain_file, mask_file = strip("head.nii.gz")

It knows nothing of the workshop, whose notebooks and commands import it. In its order (refusal, interval, compute,
resampling, networks, slices, dicom, reading, writing, scans, posture, registration, skull_stripping,
one_head, contrasts, tumor_segmentation, bundle_transforms, bundle, tissues, age) each module imports only from those
above it, and from the package `synthcohort`."""
