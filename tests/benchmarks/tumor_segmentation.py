"""Seconds of computing to each Dice: the network, loss and optimizer of the 2022 workshop against ours.

    python tests/benchmarks/tumor_segmentation.py --seconds 100 --patience 1500 --turns 50

Same patients, same process, one thread, taking turns every few seconds, so that a busy machine disturbs
both alike. The network of 2022 has no schedule and gets `--patience` seconds to reach its best; the last
line compares the two at the best mean Dice that it reaches in them. Its curve is noisy, so that the moment
of its best is partly luck: run several seeds (three gave 7, 20 and 28 times sooner). It needs multiples of
16 voxels and pads to them; ours does not. Neither sees augmented images. Also the time of one training step
per volume of 48 x 48 x 48, beside MONAI's SegResNet and DynUNet.
"""

import argparse
import time

import torch
from monai.losses import DiceLoss
from monai.networks.nets import DynUNet, SegResNet
from monai.networks.nets import UNet as MonaiUNet
from torch import nn
from torch.nn.functional import adaptive_avg_pool3d, binary_cross_entropy_with_logits, pad

from brainscans import compute, networks
from brainscans.tumor_segmentation import normalize
from presimal import data
from presimal.evaluation import dice

WHERE = torch.device("cpu")
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8)


class Padded(nn.Module):
    """Brings volumes to the multiple of 16 voxels that the network of 2022 needs, and its answer back."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        size = x.shape[2:]
        missing = [-length % 16 for length in size]
        answer = self.network(pad(x, [p for m in missing[::-1] for p in (0, m)]))
        return answer[..., : size[0], : size[1], : size[2]]


class Contender:
    """A network in training, with its own clock."""

    def __init__(self, name, model, optimizer, loss, fast, batch, seconds):
        self.name, self.model, self.optimizer, self.loss = name, model, optimizer, loss
        self.fast, self.batch, self.seconds = fast, batch, seconds
        self.spent, self.highest, self.curve = 0.0, optimizer.param_groups[0]["lr"], []

    def train(self, x, y, until):
        self.model.train()
        start = time.process_time() - self.spent
        while self.spent < until:
            self.spent = time.process_time() - start
            chosen = torch.randint(len(x), (self.batch,))
            if self.fast:
                done = self.spent / self.seconds
                for group in self.optimizer.param_groups:
                    group["lr"] = self.highest * min(1, done / 0.1) * (1 - max(0, (done - 0.1) / 0.9)) + 1e-6
            with compute.autocast(WHERE) if self.fast else torch.autocast("cpu", enabled=False):
                outputs = self.model(x[chosen])
            error = self.loss(outputs, y[chosen])
            self.optimizer.zero_grad()
            error.backward()
            self.optimizer.step()

    @torch.no_grad()
    def score(self, x, y):
        self.model.eval()
        found = torch.cat([self.model(part).float() > 0 for part in x.split(10)])
        self.curve.append((self.spent, float(dice(found, y).mean())))


def dice_and_entropy(outputs, y):
    total = 0
    for level, z in enumerate(outputs):
        z, target = z.float(), adaptive_avg_pool3d(y, z.shape[2:])
        total = total + 0.5**level * (DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)(z, target)
                                      + binary_cross_entropy_with_logits(z, target))  # fmt: skip
    return total


def contenders(seconds, patience, seed=0):
    torch.manual_seed(seed)
    old = Padded(MonaiUNet(3, 4, 3, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2, act="mish"))
    squared = DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
    return [
        Contender("2022 workshop", old, torch.optim.Adam(old.parameters(), 1e-3), squared, False, 2, patience),
        ours(networks.UNet(4, 3, sharp=8), seconds),
    ]


def ours(model, seconds, rate=4e-3):
    """A network in our recipe."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    return Contender("ours", model, optimizer, dice_and_entropy, True, 1, seconds)


def race(seconds, patience, turns, seed):
    table = data.tumors()
    images, labels = data.load(table), data.load(table, "label")
    x = normalize(images, images[:, 1:2] > 0.1 * images[:, 1:2].amax((2, 3, 4), keepdim=True))
    y = torch.cat([labels > 0, labels >= 2, labels == 3], 1).float()
    train, valid = ((table.split == name).to_numpy(copy=True) for name in ("train", "valid"))
    both = contenders(seconds, patience, seed)
    for turn in range(1, turns + 1):
        for contender in both:
            contender.train(x[train], y[train], contender.seconds * turn / turns)
            contender.score(x[valid], y[valid])
    for contender in both:
        print(contender.name + ": " + "  ".join(f"{s:.0f} s {d:.3f}" for s, d in contender.curve))
    best = max(d for _, d in both[0].curve)
    for level in (*(level for level in LEVELS if level < best), best):
        first = [next((s for s, d in c.curve if d >= level), None) for c in both]
        ratio = f"{first[0] / first[1]:.1f} times sooner" if all(first) else ""
        print(f"mean Dice {level:.3f}: " + ", ".join(f"{c.name} {'never' if s is None else f'{s:.0f} s'}"
                                                     for c, s in zip(both, first, strict=True)), ratio)  # fmt: skip


def throughput():
    """Milliseconds of computing for one training step per volume of 48 x 48 x 48, float32."""
    models = {
        "2022 workshop": contenders(1, 1)[0].model, "ours": networks.UNet(4, 3, sharp=8),
        "SegResNet 8": SegResNet(3, 8, 4, 3, blocks_down=(1, 2, 2, 4), blocks_up=(1, 1, 1)),
        "DynUNet 16-96": DynUNet(3, 4, 3, [3] * 4, [1, 2, 2, 2], [2] * 3, filters=[16, 32, 64, 96]),
    }  # fmt: skip
    x = torch.randn(2, 4, 48, 48, 48)
    for name, model in models.items():
        model.train()
        took = []
        for _ in range(4):
            start = time.process_time()
            outputs = model(x)
            sum(o.mean() for o in (outputs if isinstance(outputs, list) else [outputs])).backward()
            took.append(time.process_time() - start)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{name:14s} {1000 * min(took) / 2:5.0f} ms per volume, {parameters:9,} parameters")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=100, help="of computing for our network")
    parser.add_argument("--patience", type=float, default=1500, help="the same for the network of 2022")
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    throughput()
    race(wanted.seconds, wanted.patience, wanted.turns, wanted.seed)
