# SPDX-License-Identifier: MIT
"""What happens to a crop before the student sees it; all of it on the device, a batch at a time.

Geometry first (mirror, shift, scale, turn: the template's margin of 8 columns on either side gives true pixels for small
shifts), then what cameras and codecs do: brightness, contrast, colour, monochrome, low resolution, blur, noise, JPEG, and
black margins. Everything is drawn from the generator given, so a step's seed fixes its batch.
"""
import math

import torch
from torch.nn import functional

import architecture
from data import LEFT, SIDE

# ISO/IEC 10918-1, annex K.1: the usual quantisation tables of JPEG at quality 50.
LUMA = [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87,
        80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92,
        95, 98, 112, 100, 103, 99]
CHROMA = [17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99,
          99, 99] + [99] * 32


class Augmenter:
    def __init__(self, device, geometry=1.0, camera=1.0):
        """`geometry` scales how far crops move, `camera` how often each fault of a camera strikes; 0 turns them off."""
        self.device, self.geometry, self.camera = device, geometry, camera
        n = torch.arange(8, dtype=torch.float32)
        basis = torch.cos((2 * n[None] + 1) * n[:, None] * math.pi / 16) * 0.5
        basis[0] *= math.sqrt(0.5)
        self.basis = basis.to(device)
        self.tables = [torch.tensor(t, dtype=torch.float32, device=device).view(8, 8) for t in (LUMA, CHROMA)]

    def uniform(self, generator, count, low, high):
        return torch.rand(count, generator=generator, device=self.device) * (high - low) + low

    def chosen(self, generator, count, probability):
        """Indices of a random part of the batch."""
        return torch.nonzero(torch.rand(count, generator=generator, device=self.device) < probability * self.camera).flatten()

    def move(self, pixels, mirror, generator):
        """uint8 [n, 112, 112, 3] to float [n, 3, 112, 112], 0 to 255, mirrored where told, then a little moved."""
        x = pixels.permute(0, 3, 1, 2).float()
        x = torch.where(mirror[:, None, None, None], x.flip(-1), x)
        if self.geometry == 0:
            return x
        count = len(x)
        normal = torch.randn(2, count, generator=generator, device=self.device).clamp(-2.5, 2.5)
        shift = normal * self.geometry * 1.6 * 2 / SIDE  # 1.6 px
        scale = 1 + self.geometry * self.uniform(generator, count, -0.07, 0.07)
        angle = self.geometry * self.uniform(generator, count, -5, 5) * math.pi / 180
        cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
        matrix = torch.stack([torch.stack([cosine, -sine, shift[0]], 1), torch.stack([sine, cosine, shift[1]], 1)], 1)
        grid = functional.affine_grid(matrix, list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def spoil(self, x, generator):
        """Faults of cameras, codecs and croppers, of [n, 3, 112, 112] in 0 to 255, BGR."""
        count = len(x)
        gain = torch.exp(self.camera * self.uniform(generator, (count, 3, 1, 1), -0.08, 0.08))
        contrast = torch.exp(self.camera * self.uniform(generator, (count, 1, 1, 1), -0.35, 0.3))
        brightness = self.camera * self.uniform(generator, (count, 1, 1, 1), -38, 38)
        x = ((x * gain - 127.5) * contrast + 127.5 + brightness).clamp(0, 255)
        some = self.chosen(generator, count, 0.12)
        grey = x[some, 0:1] * 0.114 + x[some, 1:2] * 0.587 + x[some, 2:3] * 0.299
        x = x.index_copy(0, some, grey.expand(-1, 3, -1, -1))
        some = self.chosen(generator, count, 0.2)
        if len(some):  # one resolution a batch
            side = int(torch.randint(24, 80, (1,), generator=generator, device=self.device))
            small = functional.interpolate(x[some], size=(side, side), mode="area")
            x = x.index_copy(0, some, functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False))
        some = self.chosen(generator, count, 0.2)
        x = x.index_copy(0, some, self.blur(x[some], self.uniform(generator, len(some), 0.4, 1.8)))
        some = self.chosen(generator, count, 0.15)
        noise = torch.randn(x[some].shape, generator=generator, device=self.device)
        x = x.index_copy(0, some, x[some] + noise * self.uniform(generator, (len(some), 1, 1, 1), 1, 12))
        some = self.chosen(generator, count, 0.35)
        x = x.index_copy(0, some, self.jpeg(x[some], self.uniform(generator, len(some), 18, 92)))
        return self.black_margins(x, self.chosen(generator, count, 0.1), generator).clamp(0, 255)

    def blur(self, x, sigma):
        taps = torch.arange(-4, 5, dtype=torch.float32, device=self.device)
        kernel = torch.exp(-0.5 * (taps[None] / sigma[:, None]) ** 2)
        kernel = kernel / kernel.sum(1, keepdim=True)
        for axis in (2, 3):
            pad = (0, 0, 4, 4) if axis == 2 else (4, 4, 0, 0)
            wide = functional.pad(x, pad, mode="replicate")
            x = sum(kernel[:, k, None, None, None] * wide.narrow(axis, k, SIDE) for k in range(9))
        return x

    def blocks(self, plane, table):
        """Quantises [n, s, s] in blocks of 8x8 by tables [n, 8, 8]."""
        n, side, _ = plane.shape
        x = plane.view(n, side // 8, 8, side // 8, 8).permute(0, 1, 3, 2, 4) - 128
        coefficients = self.basis @ x @ self.basis.T
        table = table[:, None, None]
        x = self.basis.T @ (torch.round(coefficients / table) * table) @ self.basis + 128
        return x.permute(0, 1, 3, 2, 4).reshape(n, side, side)

    def jpeg(self, x, quality):
        """What JPEG with 4:2:0 at these qualities leaves (libjpeg's scaling of its tables)."""
        if not len(x):
            return x
        scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
        luma, chroma = (((t * scale[:, None, None] + 50) / 100).floor().clamp(1, 255) for t in self.tables)
        b, g, r = x.clamp(0, 255).unbind(1)
        y = 0.299 * r + 0.587 * g + 0.114 * b
        cb, cr = (b - y) * 0.564 + 128, (r - y) * 0.713 + 128
        y = self.blocks(y, luma)
        half = functional.avg_pool2d(torch.stack([cb, cr], 1), 2)
        half = torch.stack([self.blocks(half[:, 0].contiguous(), chroma), self.blocks(half[:, 1].contiguous(), chroma)], 1)
        cb, cr = functional.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False).sub(128).unbind(1)
        return torch.stack([y + 1.773 * cb, y - 0.344 * cb - 0.714 * cr, y + 1.403 * cr], 1)

    def black_margins(self, x, some, generator):
        """A face at the picture's edge: one side black, at a slight angle, up to 28 columns deep."""
        if not len(some):
            return x
        n = len(some)
        depth = self.uniform(generator, n, 4, 28)
        slope = self.uniform(generator, n, -0.15, 0.15)
        side = torch.randint(0, 4, (n,), generator=generator, device=self.device)
        line = torch.arange(SIDE, dtype=torch.float32, device=self.device)
        row, column = line[:, None], line[None]
        along = torch.where((side < 2)[:, None, None], row[None], column[None])
        across = torch.where((side < 2)[:, None, None], column[None], row[None])
        across = torch.where((side % 2 == 1)[:, None, None], SIDE - 1 - across, across)
        black = across < depth[:, None, None] + slope[:, None, None] * (along - SIDE / 2)
        return x.index_copy(0, some, x[some].masked_fill(black[:, None], 0.0))


def student_input(x):
    """[n, 3, 112, 112] in 0 to 255, BGR, to the student's [n, 3, 112, 96]."""
    return ((x[..., LEFT:LEFT + architecture.WIDTH] - architecture.MEAN) * architecture.SCALE).contiguous()


def teacher_input(x):
    """The same to the teacher's: RGB."""
    return (x.flip(1) - 127.5) / 127.5
