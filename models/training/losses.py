# SPDX-License-Identifier: MIT
"""What the student is trained for: the teacher's direction, and its people apart from each other."""
import math

import torch
from torch import nn
from torch.nn import functional


def distillation(student, teacher):
    """1 - cosine, a number a crop."""
    return 1 - functional.cosine_similarity(student.float(), teacher.float(), dim=1)


class SphereFaceR(nn.Module):
    """SphereFace-R with hard feature normalisation and characteristic gradient detachment (arXiv 2109.05565, sections 3 and 4).

    A multiplicative angular margin as in SphereFace: the logit of a crop's own class is s psi(theta) with
    psi(theta) = (-1)^k cos(m theta) - 2k on [k pi / m, (k+1) pi / m], of the others s cos(theta); psi acts in the forward pass alone,
    the gradient is that of cos. One head a data set: the softmax of a crop goes over the classes of its own set.
    """

    def __init__(self, class_head, dims=512, s=30.0, m=1.5):
        super().__init__()
        self.s, self.m = s, m
        self.weight = nn.Parameter(functional.normalize(torch.randn(max(len(class_head), 1), dims), dim=1))
        self.register_buffer("class_head", torch.as_tensor(class_head, dtype=torch.long))

    @torch.no_grad()
    def start_from(self, centres):
        """Class weights begin where the teacher has the classes: only the student is then to learn."""
        self.weight.copy_(functional.normalize(centres.to(self.weight), dim=1))

    def forward(self, x, label, head):
        """A loss a crop, for crops with labels; `head` is the data set of each."""
        cosine = functional.normalize(x.float(), dim=1) @ functional.normalize(self.weight, dim=1).T
        own = cosine.gather(1, label[:, None])
        with torch.no_grad():
            theta = self.m * torch.acos(own.clamp(-1 + 1e-5, 1 - 1e-5))
            k = torch.floor(theta / math.pi)
            shift = (1 - 2 * torch.remainder(k, 2)) * torch.cos(theta) - 2 * k - own
        logits = self.s * cosine.scatter_add(1, label[:, None], shift)
        logits = logits.masked_fill(self.class_head[None] != head[:, None], -1e4)
        return functional.cross_entropy(logits, label, reduction="none") / self.s
