"""`presimal segment`: the regions of a glioma from four contrasts."""

from presimal import networks
from presimal.inference.tumor_segmentation import WEIGHTS, segment


def segment_one(scans: list[str], out: str, weights: str = WEIGHTS) -> int:
    """Segment one patient, write the labels to `out`, print the volumes; returns 0. `weights`: the name of weights that
    the workshop ships, or a .safetensors file of your own. Raises DataError for what the user can mend.
    """
    model, _ = networks.load(weights)
    found = segment(scans, out, model)
    for region, ml in found.volumes_ml.items():
        print(f"{region:16} {ml:7.1f} ml")
    print(f"{out}: 1 edema, 2 non-enhancing or necrotic, 3 enhancing. Not for clinical use.")
    return 0
