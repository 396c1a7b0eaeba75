#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl detect against decodes by cv2.dnn and numpy, written from the networks' papers."""
import glob
import json
import os
import subprocess
import unittest

import cv2
import numpy

from test_detectors import letterbox  # exact bilinear; cv2's own moves scores by up to 3e-3

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
SHARED = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
PIXELS = 1.0
SCORE = 1e-3


def pictures():
    photos = sorted(glob.glob(os.path.join(SHARED, "data/photos/compreface/*.jpg")))[:18]
    photos += sorted(glob.glob(os.path.join(SHARED, "data/photos/no_faces/*.jpg")))[:2]
    people = sorted(glob.glob(os.path.join(SHARED, "data/lfw-dev/*/*.jpg")))
    return photos + people[::max(1, len(people) // 40)][:50 - len(photos)]


def grid(size, stride, repeats):
    """[cells * repeats, 2]: column and row of each anchor"""
    rows, columns = numpy.mgrid[:size // stride, :size // stride]
    return numpy.repeat(numpy.stack([columns.ravel(), rows.ravel()], 1), repeats, 0).astype(numpy.float64)


def suppress(boxes, scores, points, overlap):
    """Greedy suppression: rows (x1, y1, x2, y2, score, points), best first"""
    order = list(numpy.argsort(-scores, kind="stable"))
    kept = []
    while order:
        best = order.pop(0)
        kept.append(numpy.concatenate([boxes[best], [scores[best]], points[best]]))
        x1, y1, x2, y2 = boxes[best]
        rest = []
        for i in order:
            a1, b1, a2, b2 = boxes[i]
            inner = max(0, min(x2, a2) - max(x1, a1)) * max(0, min(y2, b2) - max(y1, b1))
            if inner <= overlap * ((x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - inner):
                rest.append(i)
        order = rest
    return kept


class Scrfd:
    def __init__(self, file):
        self.net = cv2.dnn.readNetFromONNX(os.path.join(SHARED, "models", file))

    def __call__(self, image, threshold, overlap=0.4):
        canvas, scale = letterbox(image, 640, 640)
        self.net.setInput(cv2.dnn.blobFromImage(canvas, 1 / 128, (640, 640), (127.5,) * 3, swapRB=True))
        outputs = [o[0].astype(numpy.float64) for o in self.net.forward([f"out{i}" for i in range(9)])]
        boxes, scores, points = [], [], []
        for level, stride in enumerate((8, 16, 32)):
            centre = grid(640, stride, 2) * stride
            distance = outputs[3 + level] * stride
            boxes.append(numpy.hstack([centre - distance[:, :2], centre + distance[:, 2:]]))
            points.append(numpy.tile(centre, 5) + outputs[6 + level] * stride)
            scores.append(outputs[level].ravel())
        return select(boxes, scores, points, threshold, overlap, scale)


class Retinaface:
    def __init__(self, file, names):
        self.net = cv2.dnn.readNetFromONNX(os.path.join(SHARED, "models/retinaface_mnet025", file))
        self.names = names

    def __call__(self, image, threshold, overlap=0.4):
        canvas, scale = letterbox(image, 640, 640)
        self.net.setInput(cv2.dnn.blobFromImage(canvas, 1, (640, 640), (104, 117, 123)))
        boxes, scores, points = (o[0].astype(numpy.float64) for o in self.net.forward(self.names))
        centres, sides = [], []
        for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
            centres.append((grid(640, stride, 2) + 0.5) * stride)
            sides.append(numpy.tile(sizes, (640 // stride) ** 2))
        centre, side = numpy.concatenate(centres), numpy.concatenate(sides)[:, None]
        middle = centre + boxes[:, :2] * 0.1 * side
        half = side * numpy.exp(boxes[:, 2:] * 0.2) / 2
        return select([numpy.hstack([middle - half, middle + half])], [scores[:, 1]],
                      [numpy.tile(centre, 5) + points * 0.1 * side], threshold, overlap, scale)


def select(boxes, scores, points, threshold, overlap, scale):
    boxes, scores, points = (numpy.concatenate(a) for a in (boxes, scores, points))
    keep = scores >= threshold
    return suppress(boxes[keep] / scale, scores[keep], points[keep] / scale, overlap)


def ours(model, files, threshold):
    done = subprocess.run(["spherectl", "detect", "--json", "--detector", model, "--threshold", str(threshold), *files],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=500)
    assert done.returncode == 0, done.stderr
    return [image["faces"] for image in json.loads(done.stdout)["images"]]


class MoreDetectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = pictures()
        if not cls.files:
            raise unittest.SkipTest(f"no pictures below {SHARED} (set SPHERE_TEST_DATA)")

    def same(self, model, reference, threshold):
        found = ours(model, self.files, threshold)
        self.assertEqual(len(found), len(self.files))
        faces = 0
        # A score on the very threshold may fall to either side: such rows may miss a partner.
        for file, mine in zip(self.files, found):
            theirs = reference(cv2.imread(file), threshold - SCORE)
            mine = list(mine)
            for row in theirs:
                want = numpy.concatenate([row[:2], row[2:4] - row[:2], row[5:]])
                near = [f for f in mine if abs(f["score"] - row[4]) <= SCORE
                        and numpy.abs(numbers(f) - want).max() <= PIXELS]
                if not near and abs(row[4] - threshold) <= SCORE:
                    continue
                self.assertTrue(near, f"{file}: no partner of {row} in {mine}")
                mine.remove(near[0])
                faces += 1
            self.assertFalse(mine, f"{file}: only ours")
            if "no_faces" in file:
                self.assertFalse(theirs, file)
        self.assertEqual(len(self.files), 50)
        self.assertGreaterEqual(faces, 50)

    def test_scrfd_500m(self):
        self.same("scrfd-500m", Scrfd("scrfd_500m_kps.onnx"), 0.5)

    def test_scrfd_2_5g(self):
        self.same("scrfd-2.5g", Scrfd("scrfd_2.5g_kps.onnx"), 0.5)

    def test_retinaface(self):
        self.same("retinaface", Retinaface("retinaface_mnet025_640.onnx", ["output0", "593", "592"]), 0.6)

    def test_retinaface_dyn(self):
        self.same("retinaface-dyn", Retinaface("retinaface_mnet025_dyn.onnx", ["output0", "484", "483"]), 0.6)


def numbers(face):
    return numpy.array([*face["box"], *numpy.ravel(face["landmarks"])], numpy.float64)


if __name__ == "__main__":
    unittest.main(verbosity=2)
