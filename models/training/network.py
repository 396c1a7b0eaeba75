# SPDX-License-Identifier: MIT
"""SphereFace-20 in PyTorch, with batch-norm after each convolution and after fc5 while it is trained."""
import torch
from torch import nn

import architecture


class SphereFace20(nn.Module):
    """[n, 3, 112, 96], BGR, (pixel - 127.5) / 128, to [n, 512]. Batch-norm goes at export: architecture.fold()."""

    def __init__(self):
        super().__init__()
        self.units = architecture.convolutions()
        for name, inputs, outputs, stride, _ in self.units:
            conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)  # batch-norm has the bias
            nn.init.kaiming_normal_(conv.weight, a=0.25)
            self.add_module("conv" + name, conv)
            self.add_module("norm" + name, nn.BatchNorm2d(outputs, eps=architecture.EPSILON))
            self.add_module("relu" + name, nn.PReLU(outputs, init=0.25))
        self.fc5 = nn.Linear(architecture.features(), architecture.DIMS)
        nn.init.xavier_normal_(self.fc5.weight)
        nn.init.zeros_(self.fc5.bias)
        self.norm5 = nn.BatchNorm1d(architecture.DIMS, eps=architecture.EPSILON)

    def forward(self, x):
        shortcut = x
        for name, _, _, stride, ends_unit in self.units:
            x = getattr(self, "relu" + name)(getattr(self, "norm" + name)(getattr(self, "conv" + name)(x)))
            if ends_unit:
                x = x + shortcut
            if ends_unit or stride == 2:
                shortcut = x
        return self.norm5(self.fc5(torch.flatten(x, 1)).float())


def arrays(state):
    """A state dict's tensors as numpy arrays, for architecture.fold()."""
    return {key: value.detach().cpu().float().numpy() for key, value in state.items()
            if value.dtype.is_floating_point}
