"""`presimal segment`: the regions of a glioma from four contrasts."""

from presimal.tumor_segmentation import segment


def segment_one(scans: list[str], out: str) -> int:
    """Segment one patient, write the labels to `out`, print the volumes; returns 0.

    Raises DataError for what the user can mend.
    """
    found = segment(scans if len(scans) > 1 else scans[0], out)
    for region, ml in found.volumes_ml.items():
        print(f"{region:16} {ml:7.1f} ml")
    print(f"{out}: 1 edema, 2 non-enhancing or necrotic, 3 enhancing. Not for clinical use.")
    return 0
