#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Boxes, scores and landmarks equal an independent run of the same files by cv2.dnn, within 1 px and 1e-3.

The decoders here are written from the models' public descriptions (YuNet's training project, Ultra-Light's,
the iBUG 68-point markup); they import nothing of ours.
"""
import glob
import json
import os
import subprocess
import unittest

import cv2
import numpy

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
DATA = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
PIXELS, SCORE = 1, 1e-3


def pictures():
    patterns = ["photos/compreface/*.jpg", "photos/face_recognition/knn/*/*.jpg",
                "photos/face_recognition/*.jpg", "photos/no_faces/*.jpg", "photos/crowd/*.jpg",
                "deepface-unit/img[1-3]*.jpg"]
    found = [p for pattern in patterns for p in sorted(glob.glob(os.path.join(DATA, "data", pattern)))]
    return found[:50]


def installed(name):
    listed = json.loads(subprocess.run(["spherectl", "models", "list", "--json"], check=True,
                                       capture_output=True, text=True).stdout)
    model = next(m for m in listed["models"] if m["name"] == name)
    return model["files"][0]["path"] if model["installed"] else None


def ours(detector, paths, threshold):
    done = subprocess.run(["spherectl", "detect", "--json", "--engine", "opencv", "--precision", "fp32", "--detector",
                           detector, "--threshold", str(threshold), *paths], capture_output=True, text=True, check=True)
    return [picture["faces"] for picture in json.loads(done.stdout)["images"]]


def bilinear(picture, width, height):
    """cv2.resize INTER_LINEAR in double precision. cv2 itself works with 11-bit weights: its pixels are up to
    one level off, which moves scores by up to 3e-3; the contract's reference is the exact one."""

    def axis(out, size):
        position = numpy.clip((numpy.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        first = numpy.minimum(position.astype(int), size - 1)
        return first, numpy.minimum(first + 1, size - 1), position - first

    y0, y1, wy = axis(height, picture.shape[0])
    x0, x1, wx = axis(width, picture.shape[1])
    source, wx, wy = picture.astype(float), wx[None, :, None], wy[:, None, None]
    top = source[y0][:, x0] * (1 - wx) + source[y0][:, x1] * wx
    bottom = source[y1][:, x0] * (1 - wx) + source[y1][:, x1] * wx
    return numpy.floor(top * (1 - wy) + bottom * wy + 0.5).astype(numpy.uint8)


def letterbox(picture, width, height):
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    canvas = numpy.zeros((height, width, 3), numpy.uint8)
    canvas[:size[1], :size[0]] = bilinear(picture, *size)
    return canvas, scale


def suppress(boxes, scores, limit):
    """Greedy, by IoU; indices of what stays, best first."""
    order, kept = list(numpy.argsort(-scores, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(best)

        def overlap(i):
            a, b = boxes[best], boxes[i]
            w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
            h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
            inside = max(w, 0) * max(h, 0)
            return inside / (a[2] * a[3] + b[2] * b[3] - inside)

        order = [i for i in order if overlap(i) <= limit]
    return kept


class Yunet:
    def __init__(self, path, side):
        self.net, self.side = cv2.dnn.readNetFromONNX(path), side
        self.names = self.net.getUnconnectedOutLayersNames()

    def __call__(self, picture, threshold):
        canvas, scale = letterbox(picture, self.side, self.side)
        self.net.setInput(cv2.dnn.blobFromImage(canvas))
        out = dict(zip(self.names, self.net.forward(self.names)))
        faces = []
        for stride in (8, 16, 32):
            columns = self.side // stride
            cls, obj, box, points = (out[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
            for i in range(columns * columns):
                score = float(numpy.sqrt(numpy.clip(cls[i, 0], 0, 1) * numpy.clip(obj[i, 0], 0, 1)))
                if score < threshold:
                    continue
                cell = numpy.array([i % columns, i // columns])
                centre, size = (cell + box[i, :2]) * stride, numpy.exp(box[i, 2:]) * stride
                landmarks = (cell + points[i].reshape(5, 2)) * stride / scale
                faces.append((numpy.concatenate([centre - size / 2, size]) / scale, score, landmarks))
        kept = suppress([f[0] for f in faces], numpy.array([f[1] for f in faces]), 0.3)
        return [faces[i] for i in kept]


class FrLandmark:
    """Five points out of 68 of the face's square, for detectors without landmarks of their own."""

    def __init__(self, path):
        self.net = cv2.dnn.readNetFromONNX(path)

    def __call__(self, picture, box):
        side = max(box[2], box[3])
        x0, y0 = box[0] + box[2] / 2 - side / 2, box[1] + box[3] / 2 - side / 2
        step = 64 / side
        crop = cv2.warpAffine(picture, numpy.float64([[step, 0, (0.5 - x0) * step - 0.5],
                                                      [0, step, (0.5 - y0) * step - 0.5]]), (64, 64))
        grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(numpy.float32) / 256
        self.net.setInput(grey[None, None])
        p = self.net.forward().reshape(68, 2) * side + (x0, y0)
        return numpy.stack([p[[37, 38, 40, 41]].mean(0), p[[43, 44, 46, 47]].mean(0), p[30],
                            p[[48, 60]].mean(0), p[[54, 64]].mean(0)])


class Ultralight:
    def __init__(self, path, landmark_path):
        self.net, self.points = cv2.dnn.readNetFromONNX(path), FrLandmark(landmark_path)

    def __call__(self, picture, threshold):
        canvas, scale = letterbox(picture, 320, 240)
        self.net.setInput(cv2.dnn.blobFromImage(canvas, 1 / 128, (320, 240), (127,) * 3, swapRB=True))
        scores, boxes = self.net.forward(["scores", "boxes"])
        found = [(b * (320, 240, 320, 240) / scale, float(s[1]))
                 for s, b in zip(scores[0], boxes[0]) if s[1] >= threshold]
        corners = [(numpy.array([b[0], b[1], b[2] - b[0], b[3] - b[1]]), s) for b, s in found]
        kept = suppress([b for b, _ in corners], numpy.array([s for _, s in corners]), 0.4)
        return [(*corners[i], self.points(picture, corners[i][0])) for i in kept]


class Detectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.paths = pictures()
        if not cls.paths:
            raise unittest.SkipTest(f"no pictures at {DATA} (set SPHERE_TEST_DATA)")

    def compare(self, detector, reference, threshold):
        """Every face has a partner on the other side; a score on the very threshold may fall to either."""
        faces = 0
        for path, got in zip(self.paths, ours(detector, self.paths, threshold)):
            got = list(got)
            for box, score, landmarks in reference(cv2.imread(path), threshold - SCORE):
                near = [f for f in got if abs(f["score"] - score) <= SCORE
                        and numpy.abs(numpy.array(f["box"]) - box).max() <= PIXELS
                        and numpy.abs(numpy.array(f["landmarks"]) - landmarks).max() <= PIXELS]
                if not near and abs(score - threshold) <= SCORE:
                    continue
                self.assertTrue(near, f"{path}: no partner of {score} {box} {landmarks}")
                got.remove(near[0])
                faces += 1
            self.assertFalse(got, f"{path}: only ours")
        self.assertEqual(len(self.paths), 50)
        self.assertGreater(faces, 100)

    def test_yunet(self):
        for side in (320, 640):
            path = installed(f"yunet-{side}")
            if path is None:
                self.skipTest(f"yunet-{side} is not installed")
            with self.subTest(side):
                self.compare(f"yunet-{side}", Yunet(path, side), 0.6)

    def test_ultralight(self):
        path, points = installed("ultralight"), installed("fr_landmark")
        if path is None or points is None:
            self.skipTest("ultralight is not fetched (spherectl models fetch ultralight)")
        self.compare("ultralight", Ultralight(path, points), 0.8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
