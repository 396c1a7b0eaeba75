#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl detect against decodes by cv2.dnn and numpy, written from the networks' papers."""
import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy

from test_detectors import FrLandmark, installed, letterbox  # exact bilinear; cv2's own moves scores by up to 3e-3

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import made_ssd  # noqa: E402

SHARED = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
PIXELS = 1.0
SCORE = 1e-3
CASCADE = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"


def pictures():
    photos = sorted(glob.glob(os.path.join(SHARED, "data/photos/compreface/*.jpg")))[:18]
    photos += sorted(glob.glob(os.path.join(SHARED, "data/photos/no_faces/*.jpg")))[:2]
    people = sorted(glob.glob(os.path.join(SHARED, "data/lfw-dev/*/*.jpg")))
    return photos + people[::max(1, len(people) // 40)][:50 - len(photos)]


def bilinear(picture, width, height):
    """cv2.resize INTER_LINEAR in single precision, left + (right - left) * weight along x, then along y. Where sizes
    are in a simple ratio (250 px to 300, to 150), one value in fifty lies exactly between two levels: which it gets
    hangs on the order of the arithmetic, and moves a score near 0.5 by up to 4e-3."""

    def axis(out, size):
        at = numpy.clip((numpy.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        first = numpy.minimum(at.astype(int), size - 1)
        weight = (at - first).astype(numpy.float32)
        return first, numpy.minimum(first + 1, size - 1), numpy.where(weight < 1e-6, numpy.float32(0), weight)

    source = picture.astype(numpy.float32)
    y0, y1, wy = axis(height, picture.shape[0])
    x0, x1, wx = axis(width, picture.shape[1])
    columns = source[:, x0] + (source[:, x1] - source[:, x0]) * wx[None, :, None]
    rows = columns[y0] + (columns[y1] - columns[y0]) * wy[:, None, None]
    return (rows + numpy.float32(0.5)).astype(numpy.int32).astype(numpy.uint8)


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


class Ssd:
    """Rows of DetectionOutput: picture, class, score, x1, y1, x2, y2 as shares of the squeezed picture."""

    def __init__(self, net):
        self.net = net

    def __call__(self, image, threshold):
        self.net.setInput(cv2.dnn.blobFromImage(bilinear(image, 300, 300), 1, (300, 300), (104, 177, 123)))
        height, width = image.shape[:2]
        faces = []
        for _, _, score, x1, y1, x2, y2 in self.net.forward()[0, 0].astype(numpy.float64):
            if score >= threshold and x2 > 0 and y2 > 0 and x1 < 1 and y1 < 1:
                faces.append(numpy.array([x1 * width, y1 * height, x2 * width, y2 * height, score]))
        return faces


class Mtcnn:
    """Zhang et al. 2016 with the weights' transposed input. A pyramid whose levels are each made of the one before;
    crops of R-Net and O-Net come from the smallest level that has as many pixels as they need."""

    def __init__(self):
        folder = os.path.join(SHARED, "models/mtcnn/det")
        self.nets = [cv2.dnn.readNetFromCaffe(f"{folder}{i}.prototxt", f"{folder}{i}.caffemodel") for i in (1, 2, 3)]

    def run(self, i, pictures, names):
        rgb = numpy.stack([p[:, :, ::-1] for p in pictures]).astype(numpy.float32)
        self.nets[i].setInput(numpy.ascontiguousarray(((rgb - 127.5) / 128).transpose(0, 3, 2, 1)))
        return [o.astype(numpy.float64) for o in self.nets[i].forward(names)]

    @staticmethod
    def crop(levels, box, side):
        x1, y1, x2, y2 = box
        nominal, picture = levels[0]
        for level in levels[1:]:
            if level[0] * (x2 - x1) >= side:
                nominal, picture = level
        sy, sx = (a / b for a, b in zip(picture.shape, levels[0][1].shape[:2]))
        at = (numpy.arange(side) + 0.5) / side
        xs, ys = (x1 + at * (x2 - x1)) * sx - 0.5, (y1 + at * (y2 - y1)) * sy - 0.5
        border = numpy.pad(picture, ((1, 1), (1, 1), (0, 0))).astype(float)  # black outside

        def axis(at, size):
            first = numpy.floor(at).astype(int)
            return numpy.clip(first + 1, 0, size + 1), numpy.clip(first + 2, 0, size + 1), at - first

        a0, a1, wx = axis(xs, picture.shape[1])
        b0, b1, wy = axis(ys, picture.shape[0])
        rows = border[b0] * (1 - wy)[:, None, None] + border[b1] * wy[:, None, None]
        out = rows[:, a0] * (1 - wx)[None, :, None] + rows[:, a1] * wx[None, :, None]
        return numpy.floor(out + 0.5).astype(numpy.uint8)

    def __call__(self, image, threshold):
        levels, proposals = [(1.0, image)], []
        scale = 12 / 20
        while min(image.shape[:2]) * scale >= 12:
            while levels[-1][0] > 2 * scale:
                levels.append(self.level(levels, levels[-1][0] / 2, image))
            levels.append(self.level(levels, scale, image))
            proposals += self.propose(levels[-1][1], image)
            scale *= 0.709
        rows = self.again(proposals, 0.7)
        for stage, side, names, least in ((1, 24, ["prob1", "conv5-2"], 0.7),
                                          (2, 48, ["prob1", "conv6-2", "conv6-3"], threshold)):
            if not rows:
                return []
            windows = numpy.stack([self.square(self.move(r[:4], r[5:9])) for r in rows])
            outputs = self.run(stage, [self.crop(levels, w, side) for w in windows], names)
            keep = outputs[0][:, 1] >= least
            rows = [numpy.concatenate([w, [s], *o]) for w, s, *o in
                    zip(windows[keep], outputs[0][keep, 1], *(o[keep] for o in outputs[1:]))]
            if stage == 1:
                rows = self.again(rows, 0.7)
        faces = []
        for row in sorted(rows, key=lambda r: -r[4]):
            x1, y1, x2, y2 = row[:4]
            box = self.move(row[:4], row[5:9])
            if all(self.nested(box, f) <= 0.7 for f in faces):
                points = numpy.stack([x1 + row[9:14] * (x2 - x1), y1 + row[14:19] * (y2 - y1)], 1)
                faces.append(numpy.concatenate([box, [row[4]], points.ravel()]))
        return faces

    @staticmethod
    def level(levels, scale, image):
        height, width = (int(numpy.ceil(n * scale)) for n in image.shape[:2])
        return scale, bilinear(levels[-1][1], width, height)

    def propose(self, picture, image):
        scores, shifts = (o[0] for o in self.run(0, [picture], ["prob1", "conv4-2"]))
        x, y = numpy.nonzero(scores[1] >= 0.6)
        corner = numpy.stack([x, y], 1) * 2.0
        # Suppressed in whole pixels: windows 4 px apart overlap by exactly a half.
        rows = suppress(numpy.hstack([corner, corner + 12]), scores[1][x, y], shifts[:, x, y].T, 0.5)
        for row in rows:
            row[:4] *= numpy.tile([image.shape[1] / picture.shape[1], image.shape[0] / picture.shape[0]], 2)
        return rows

    @staticmethod
    def again(rows, overlap):
        rows = numpy.array(rows)
        return suppress(rows[:, :4], rows[:, 4], rows[:, 5:], overlap) if len(rows) else []

    @staticmethod
    def move(box, shift):
        return box + shift * numpy.tile(box[2:] - box[:2], 2)

    @staticmethod
    def square(box):
        centre, half = (box[:2] + box[2:]) / 2, max(box[2:] - box[:2]) / 2
        return numpy.concatenate([centre - half, centre + half])

    @staticmethod
    def nested(a, b):
        inner = numpy.clip(numpy.minimum(a[2:4], b[2:4]) - numpy.maximum(a[:2], b[:2]), 0, None).prod()
        return inner / min((a[2:4] - a[:2]).prod(), (b[2:4] - b[:2]).prod())


def select(boxes, scores, points, threshold, overlap, scale):
    boxes, scores, points = (numpy.concatenate(a) for a in (boxes, scores, points))
    keep = scores >= threshold
    return suppress(boxes[keep] / scale, scores[keep], points[keep] / scale, overlap)


def ours(model, files, threshold):
    done = subprocess.run(["spherectl", "detect", "--json", "--engine", "opencv", "--precision", "fp32",
                           "--detector", model, "--threshold", str(threshold), *files],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=500)
    assert done.returncode == 0, done.stderr
    return [image["faces"] for image in json.loads(done.stdout)["images"]]


class MoreDetectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = pictures()
        if not cls.files:
            raise unittest.SkipTest(f"no pictures below {SHARED} (set SPHERE_TEST_DATA)")

    def same(self, model, reference, threshold, landmarks=True, empty=True):
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
                        and numpy.abs(numbers(f, landmarks) - want).max() <= PIXELS]
                if not near and abs(row[4] - threshold) <= SCORE:
                    continue
                self.assertTrue(near, f"{file}: no partner of {row} in {mine}")
                mine.remove(near[0])
                faces += 1
            self.assertFalse(mine, f"{file}: only ours")
            if empty and "no_faces" in file:
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

    def test_opencv_ssd(self):
        folder = os.path.join(SHARED, "models/opencv_ssd/opencv_face_detector")
        self.same("opencv-ssd", Ssd(cv2.dnn.readNet(folder + "_uint8.pb", folder + ".pbtxt")), 0.5, landmarks=False)

    def test_opencv_ssd_caffe_with_made_weights(self):
        with tempfile.TemporaryDirectory() as folder:
            weights, graph = (os.path.join(folder, "res10_300x300_ssd" + end) for end in ("_iter_140000.caffemodel", ".prototxt"))
            made_ssd.write(graph, weights)
            with open(os.path.join(ROOT, "models/opencv-ssd-caffe.json"), encoding="utf-8") as file:
                descriptor = json.load(file)
            self.assertEqual({f["name"] for f in descriptor["files"]}, set(os.listdir(folder)))
            for entry in descriptor["files"]:  # made files have sizes of their own
                entry.pop("bytes", None), entry.pop("sha256", None)
            del descriptor["landmark_model"]
            path = os.path.join(folder, "opencv-ssd-caffe.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(descriptor, file)
            self.same(path, Ssd(cv2.dnn.readNetFromCaffe(graph, weights)), 0.9, landmarks=False, empty=False)

    def test_opencv_ssd_landmarks(self):
        self.points_of("opencv-ssd", [ours("opencv-ssd", self.files, 0.5)])

    def points_of(self, model, runs):
        """Of a detector without landmarks of its own: those of fr_landmark in its boxes."""
        path = installed("fr_landmark")
        if path is None:
            self.skipTest("fr_landmark is not fetched (spherectl models fetch fr_landmark)")
        find, faces = FrLandmark(path), 0
        for found in runs:
            for file, mine in zip(self.files, found):
                picture = cv2.imread(file)
                for face in mine:
                    self.assertLess(numpy.abs(find(picture, face["box"]) - face["landmarks"]).max(), PIXELS, f"{model}: {file}")
                    faces += 1
        self.assertGreaterEqual(faces, 40)

    def test_haar(self):
        """The boxes of OpenCV's own CascadeClassifier, every one; a cascade gives no score."""
        if not os.path.exists(CASCADE):
            self.skipTest(f"no {CASCADE} (opencv-data)")
        cascade = cv2.CascadeClassifier(CASCADE)
        found, largest = ours("haar", self.files, 0.5), ours("haar-deepface", self.files, 0.5)
        faces = 0
        for file, mine, one in zip(self.files, found, largest):
            grey = cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2GRAY)
            theirs = sorted(map(list, cascade.detectMultiScale(grey, 1.1, 10)))
            self.assertEqual(sorted(f["box"] for f in mine), theirs, file)
            areas = [w * h for _, _, w, h in cascade.detectMultiScale(grey, 1.3, 5)]
            self.assertEqual([f["box"][2] * f["box"][3] for f in one], sorted(areas)[-1:], file)
            faces += len(theirs)
        self.assertEqual(len(self.files), 50)
        self.assertGreaterEqual(faces, 50)
        self.points_of("haar", [found])

    def test_mtcnn(self):
        self.same("mtcnn", Mtcnn(), 0.7)


def numbers(face, landmarks):
    return numpy.array([*face["box"], *(numpy.ravel(face["landmarks"]) if landmarks else [])], numpy.float64)


if __name__ == "__main__":
    unittest.main(verbosity=2)
