"""From the average anatomy to the tissues of one person: sulci, cortex, ventricles, lesions.

The average brain has fractional sulci: 0.5 where half the people have one. A threshold turns the
fraction into a sharp sulcus (a level set); ageing moves the threshold, so sulci open where people
really have them. On top, every person gets sulci of their own: the zero set of a smooth random
field is a folded sheet, and where it cuts the cortex it becomes a sulcus lined with grey matter.
"""

import torch

from .fields import smooth_field
from .regions import spread

TISSUES = ("ventricle", "csf", "cortex", "deep", "white", "lesion")
CUT = 0.36  # fraction of fluid at which a sulcus begins
EDGE = 0.055  # softness of that threshold
OWN_SCALE = 17.0  # mm, control points of the field whose zero set makes a person's own sulci
OWN_WIDTH = 0.19  # half width of such a sulcus, in standard deviations of the field
OWN_DEPTH = 10.0  # mm, mean depth of such a sulcus


def _sigmoid(x: torch.Tensor, edge: float) -> torch.Tensor:
    return torch.sigmoid(x / edge)


def _column(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)


def own_sulci(person: dict, shape, spacing: float, device) -> tuple[torch.Tensor, torch.Tensor]:
    """The sheet of a person's own sulci and the depth in mm to which it reaches, (N, X, Y, Z)."""
    streams = person["folding_streams"]
    sheet = smooth_field(streams, shape, spacing, OWN_SCALE, 1, device)[:, 0]
    reach = smooth_field(streams, shape, spacing, 26.0, 1, device)[:, 0]
    return sheet, OWN_DEPTH + 5 * reach


def brain_tissues(maps: dict, points: torch.Tensor, person: dict, spacing: float) -> dict:
    """Soft maps (N, X, Y, Z) of TISSUES, which add up to the soft mask, and `residual`, `mask`.

    `maps` are the template's brain maps at `points` (MNI mm); `person` holds `regional` (region ->
    (N, 3): threshold shift, mm lost to the ventricles, myelination), `horn` and `lesion` (N,), and
    the streams.
    """
    device, shape = points.device, tuple(points.shape[1:4])

    def field(streams, scale, channels=1):
        return smooth_field(streams, shape, spacing, scale, channels, device)

    gm, wm, mask, phi, depth = (maps[name] for name in ("gm", "wm", "mask", "phi", "depth"))
    regional = spread(person["regional"], points)
    shift, loss, myelination = regional.unbind(-1)  # thresholds, and mm lost to the ventricles

    # Ventricles, with what caudate and callosum lost to them, and the temporal horn.
    phi = phi - loss
    ventricle = _sigmoid(0.1 - phi, 0.8)
    horn = _sigmoid(_column(person["horn"].to(device)) - maps["horn"], 0.6)
    ventricle = torch.maximum(ventricle, horn * _sigmoid(depth - 6, 1.0))
    ventricle = ventricle * mask

    # Sulci of the average brain, and the person's own.
    streams = person["cortex_streams"]
    wide = field(streams, 22.0, 2)
    local = field(streams, 9.0)[:, 0]
    ribbon = _sigmoid(24 - depth, 4.0) * _sigmoid(phi - 5, 1.5)
    sheet, reach = own_sulci(person, shape, spacing, device)
    cerebrum = _sigmoid(points[..., 2] + 22 - 0.25 * (points[..., 1] + 40), 4.0)
    own = person["folding"] * cerebrum * _sigmoid(reach - depth, 1.2) * _sigmoid(phi - 7, 1.5)
    fluid = maps["csf"] + 0.034 * wide[:, 0] + 0.045 * local + shift
    fluid = fluid + 0.30 * own * torch.exp(-((sheet / OWN_WIDTH) ** 2))
    sulcus = _sigmoid(fluid - CUT, EDGE) * ribbon
    cistern = maps["csf"] * (1 - ribbon) * _sigmoid(phi - 3, 0.8)
    csf = torch.maximum(sulcus, cistern) * (1 - ventricle)

    # Grey and white: sharp in the ribbon, the soft mixture of the average deep inside.
    share = wm / (wm + gm + 1e-3)
    lining = 0.62 * own * torch.exp(-((sheet / (2.8 * OWN_WIDTH)) ** 2))
    sharp = share - lining - (0.5 - 0.9 * myelination)
    sharp = _sigmoid(sharp + 0.02 * wide[:, 1], 0.13)
    mix = 0.75 * _sigmoid(depth - 14, 3.0)
    white_share = mix * share + (1 - mix) * sharp
    solid = (mask - ventricle).clamp(min=0) * (1 - csf)
    white = solid * white_share
    grey = solid - white
    deep = grey * (maps["deep"] / (gm + 1e-3)).clamp(0, 1)
    cortex = grey - deep
    # The average is grey at the ventricles only because fluid and white matter mix there.
    rim = 0.8 * torch.exp(-((phi.clamp(min=0) / 1.6) ** 2)) * (1 - deep)
    white, cortex = white + cortex * rim, cortex * (1 - rim)

    lesion = _lesions(person, field, phi, depth) * white
    csf = csf * (mask - ventricle).clamp(min=0)
    return {
        "ventricle": ventricle, "csf": csf, "cortex": cortex, "deep": deep,
        "white": white - lesion, "lesion": lesion, "residual": maps["residual"] * solid,
        "mask": mask,
    }  # fmt: skip


def _lesions(person: dict, field, phi: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Share of white matter that is hyperintense: caps at the ventricles, then deep foci."""
    streams = person["lesion_streams"]
    patch, focus = field(streams, 14.0)[:, 0], field(streams, 7.0)[:, 0]
    caps = torch.exp(-phi.clamp(min=0) / 5.5)
    deep = 0.6 * torch.exp(-(((phi - 16) / 12) ** 2))
    score = 2.6 * caps + 0.46 * patch + (0.73 * focus - 1.0) * deep
    score = score + _column(person["lesion"].to(phi.device)) - 3.1
    return _sigmoid(score, 0.28) * _sigmoid(depth - 9, 2.0) * _sigmoid(phi - 0.5, 0.5)
