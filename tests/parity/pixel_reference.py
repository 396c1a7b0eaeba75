# SPDX-License-Identifier: MIT
"""Frames in every format and a double-precision reference for resize and warp, in numpy."""

import numpy as np

FORMATS = ("I420", "YV12", "NV12", "YUY2", "BGR", "RGB", "BGRx", "RGBx", "BGRA", "RGBA", "GRAY8")
PACKED = {"BGR": (3, (0, 1, 2)), "RGB": (3, (2, 1, 0)), "BGRx": (4, (0, 1, 2)),
          "RGBx": (4, (2, 1, 0)), "BGRA": (4, (0, 1, 2)), "RGBA": (4, (2, 1, 0))}
MATRICES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def plane_shapes(fmt, width, height):
    """(rows, bytes a row) of each plane."""
    cw, ch = (width + 1) // 2, (height + 1) // 2
    if fmt in ("I420", "YV12"):
        return [(height, width), (ch, cw), (ch, cw)]
    if fmt == "NV12":
        return [(height, width), (ch, 2 * cw)]
    if fmt == "YUY2":
        return [(height, 4 * cw)]
    if fmt == "GRAY8":
        return [(height, width)]
    return [(height, width * PACKED[fmt][0])]


class Frame:
    """Planes as 2-D arrays of bytes; `write` lays them out with padded rows."""

    def __init__(self, fmt, width, height, planes, matrix="bt601", full_range=False,
                 h_cosited=False, v_cosited=False):
        self.fmt, self.width, self.height, self.planes = fmt, width, height, planes
        self.kr, self.kb = MATRICES[matrix]
        self.full_range, self.h_cosited, self.v_cosited = full_range, h_cosited, v_cosited

    @classmethod
    def random(cls, rng, fmt, width, height):
        planes = [rng.integers(0, 256, shape, dtype=np.uint8)
                  for shape in plane_shapes(fmt, width, height)]
        flags = rng.integers(0, 2, 3).astype(bool)
        return cls(fmt, width, height, planes, str(rng.choice(list(MATRICES))),
                   *(bool(f) for f in flags))

    @classmethod
    def i420_from_bgr(cls, bgr, matrix="bt601", full_range=False):
        """Chroma is the mean of its four pixels: sited midway both ways."""
        height, width = bgr.shape[0] // 2 * 2, bgr.shape[1] // 2 * 2
        b, g, r = np.moveaxis(bgr[:height, :width].astype(float) / 255, 2, 0)
        kr, kb = MATRICES[matrix]
        luma = kr * r + (1 - kr - kb) * g + kb * b
        offset, y_span, c_span = (0, 255, 255) if full_range else (16, 219, 224)

        def chroma(colour, k):
            full = (colour - luma) / (2 * (1 - k))
            mean = full.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
            return np.clip(np.rint(128 + c_span * mean), 0, 255).astype(np.uint8)

        y = np.rint(offset + y_span * luma).astype(np.uint8)
        return cls("I420", width, height, [y, chroma(b, kb), chroma(r, kr)], matrix, full_range)

    def write(self, path, rng):
        """Writes the planes one after the other; returns what the tool needs to find them."""
        described, offset = [], 0
        with open(path, "wb") as out:
            for plane in self.planes:
                stride = plane.shape[1] + int(rng.integers(0, 40))
                rows = rng.integers(0, 256, (plane.shape[0], stride), dtype=np.uint8)
                rows[:, :plane.shape[1]] = plane
                used = rows.tobytes()[:(plane.shape[0] - 1) * stride + plane.shape[1]]
                out.write(used)
                described.append({"offset": offset, "stride": stride})
                offset += len(used)
        return {"file": str(path), "format": self.fmt, "width": self.width,
                "height": self.height, "planes": described,
                "color": {"kr": self.kr, "kb": self.kb, "full_range": self.full_range,
                          "h_cosited": self.h_cosited, "v_cosited": self.v_cosited}}

    def _upsample(self, plane, rows_halved):
        def axis(size, cosited, count):
            at = np.clip((np.arange(size) - (0 if cosited else 0.5)) / 2, 0, count - 1)
            low = np.floor(at).astype(int)
            return low, np.minimum(low + 1, count - 1), at - low

        plane = plane.astype(float)
        x0, x1, fx = axis(self.width, self.h_cosited, plane.shape[1])
        plane = plane[:, x0] * (1 - fx) + plane[:, x1] * fx
        if rows_halved:
            y0, y1, fy = axis(self.height, self.v_cosited, plane.shape[0])
            plane = plane[y0] * (1 - fy)[:, None] + plane[y1] * fy[:, None]
        return plane

    def bgr(self):
        """The whole frame, float64 BGR in 0..255, clipped, not rounded."""
        if self.fmt in PACKED:
            step, order = PACKED[self.fmt]
            pixels = self.planes[0].reshape(self.height, self.width, step)
            return pixels[:, :, order].astype(float)
        y = self.planes[0]
        if self.fmt == "GRAY8":
            u = v = np.full(y.shape, 128.0)
        elif self.fmt == "NV12":
            u, v = (self._upsample(self.planes[1][:, k::2], True) for k in (0, 1))
        elif self.fmt == "YUY2":
            u, v = (self._upsample(y[:, k::4], False) for k in (1, 3))
            y = y[:, 0::2][:, :self.width]
        else:
            u, v = (self._upsample(self.planes[k], True) for k in (1, 2))
        luma = y / 255 if self.full_range else (y - 16.0) / 219
        span = 255 if self.full_range else 224
        r = luma + 2 * (1 - self.kr) * (v - 128) / span
        b = luma + 2 * (1 - self.kb) * (u - 128) / span
        g = (luma - self.kr * r - self.kb * b) / (1 - self.kr - self.kb)
        return np.clip(np.stack([b, g, r], 2) * 255, 0, 255)


def resize(bgr, roi, width, height):
    """Bilinear, half-pixel centres, the region's edge replicated; not rounded."""
    x, y, w, h = roi
    bgr = bgr[y:y + h, x:x + w]

    def axis(out, size):
        at = (np.arange(out) + 0.5) * size / out - 0.5
        low = np.floor(at).astype(int)
        return np.clip(low, 0, size - 1), np.clip(low + 1, 0, size - 1), at - low

    x0, x1, fx = axis(width, w)
    y0, y1, fy = axis(height, h)
    rows = bgr[y0] * (1 - fy)[:, None, None] + bgr[y1] * fy[:, None, None]
    return rows[:, x0] * (1 - fx)[None, :, None] + rows[:, x1] * fx[None, :, None]


def warp(bgr, matrix, width, height, limit=None):
    """out(x, y) = bgr(inverse(x, y)), taps outside the picture or `limit` are black; not rounded."""
    full = np.vstack([np.reshape(matrix, (2, 3)), [0, 0, 1]])
    inverse = np.linalg.inv(full)
    ys, xs = np.mgrid[0:height, 0:width]
    sx, sy = (inverse[i, 0] * xs + inverse[i, 1] * ys + inverse[i, 2] for i in (0, 1))
    left, top, right, bottom = 0, 0, bgr.shape[1], bgr.shape[0]
    if limit is not None:
        left, top = max(left, limit[0]), max(top, limit[1])
        right, bottom = min(right, limit[0] + limit[2]), min(bottom, limit[1] + limit[3])
    x0, y0 = np.floor(sx).astype(int), np.floor(sy).astype(int)
    out = np.zeros((height, width, 3))
    for dy, wy in ((0, 1 - (sy - y0)), (1, sy - y0)):
        for dx, wx in ((0, 1 - (sx - x0)), (1, sx - x0)):
            x, y = x0 + dx, y0 + dy
            inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
            tap = bgr[np.clip(y, 0, bgr.shape[0] - 1), np.clip(x, 0, bgr.shape[1] - 1)]
            out += tap * (wx * wy * inside)[:, :, None]
    return out


def umeyama(source, target):
    """Similarity as 2x3, by the SVD of the paper (PAMI 13(4) 1991, equations 34 to 43)."""
    source, target = np.asarray(source, float), np.asarray(target, float)
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / s.var(0).sum()
    return np.hstack([scale * rotation, (mean_t - scale * rotation @ mean_s)[:, None]])
