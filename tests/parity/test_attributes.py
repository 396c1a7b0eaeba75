#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Attributes by spherectl analyze equal a run of the same files by cv2.dnn, decoded after the papers and the usage code
that the package of the fr_ models brings. Imports nothing of ours."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy

from pixel_reference import resize
from test_detectors import bilinear

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
SHARED = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import onnx_writer  # noqa: E402

TOLERANCE = 1e-3
MEAN, SPREAD = numpy.array([0.485, 0.456, 0.406]), numpy.array([0.229, 0.224, 0.225])
STAGES = [f"prob_stage_{i}" for i in (1, 2, 3)] + [f"stage{i}_delta_k" for i in (1, 2, 3)]
STAGES += [f"index_offset_stage{i}" for i in (1, 2, 3)]


def pictures():
    photos = sorted(glob.glob(os.path.join(SHARED, "data/photos/compreface/*.jpg")))[:12]
    return photos + sorted(glob.glob(os.path.join(SHARED, "data/photos/face_recognition/*.*g")))[:6]


def analyze(models, files, env=None):
    done = subprocess.run(["spherectl", "analyze", "--json", "--scores", "--engine", "opencv", "--precision", "fp32",
                           "--model", models, *files], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL, timeout=500, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["images"]


def network(name):
    listed = json.loads(subprocess.run(["spherectl", "models", "list", "--json"], check=True, capture_output=True,
                                       text=True).stdout)["models"]
    model = next(m for m in listed if m["name"] == name)
    if not model["installed"]:
        raise unittest.SkipTest(f"{name} is not installed (spherectl models fetch {name})")
    return cv2.dnn.readNetFromONNX(model["files"][0]["path"])


def softmax(values):
    powers = numpy.exp(values - values.max())
    return powers / powers.sum()


def run(net, pixels, outputs):
    """pixels: rows x columns x channels, as the network wants them"""
    net.setInput(numpy.ascontiguousarray(pixels.astype(numpy.float32).transpose(2, 0, 1)[None]))
    return [o.ravel().astype(numpy.float64) for o in net.forward(outputs)]


def whole(x, y, w, h):
    return int(x), int(y), int(w), int(h)


def moved_inside(image, box, scale):
    height, width = image.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    left, top = x + w / 2 - w * scale / 2, y + h / 2 - h * scale / 2
    left = min(max(left, 0), width - 1 - w * scale)
    top = min(max(top, 0), height - 1 - h * scale)
    a, b, c, d = whole(left, top, w * scale, h * scale)
    return image[b:b + d, a:a + c]


def black_outside(image, x, y, side, size):
    """Bilinear with half-pixel centres; taps outside the picture are black."""
    def taps(start, limit):
        at = start + (numpy.arange(size) + 0.5) * side / size - 0.5
        first = numpy.floor(at).astype(int)
        return numpy.clip(first + 1, 0, limit + 1), numpy.clip(first + 2, 0, limit + 1), at - first

    border = numpy.pad(image, ((1, 1), (1, 1), (0, 0))).astype(float)
    y0, y1, wy = taps(y, image.shape[0])
    x0, x1, wx = taps(x, image.shape[1])
    rows = border[y0] * (1 - wy)[:, None, None] + border[y1] * wy[:, None, None]
    return numpy.floor(rows[:, x0] * (1 - wx)[None, :, None] + rows[:, x1] * wx[None, :, None] + 0.5).astype(numpy.uint8)


def square(image, x, y, side, size):
    """A square about (x, y): whole pixels where it lies in the picture."""
    left, top = x - side / 2, y - side / 2
    a, b, c, d = whole(left, top, side, side)
    if left >= 0 and top >= 0 and a + c <= image.shape[1] and b + d <= image.shape[0]:
        return bilinear(image[b:b + d, a:a + c], size, size)
    return black_outside(image, left, top, side, size)


def ssr(outputs):
    p, delta, offset = outputs[:3], [o[0] for o in outputs[3:6]], outputs[6:]
    value, width = 0, 1
    for stage in range(3):
        width *= 3 * (1 + delta[stage])
        value += ((numpy.arange(3) + offset[stage]) * p[stage]).sum() / width
    return value


class Attributes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = pictures()
        if not cls.files:
            raise unittest.SkipTest(f"no pictures below {SHARED} (set SPHERE_TEST_DATA)")

    def each(self, models, env=None):
        faces = 0
        for image in analyze(models, self.files, env):
            picture = cv2.imread(image["path"])
            for face in image["faces"]:
                faces += 1
                yield picture, face, face["attributes"]
        self.assertGreaterEqual(faces, 8)

    def scores(self, got, want, name):
        self.assertEqual(list(got[name + "_scores"]), list(want), name)
        for label, score in want.items():
            self.assertAlmostEqual(got[name + "_scores"][label], score, delta=TOLERANCE, msg=name + " " + label)
        self.assertEqual(got[name + "_score"], max(got[name + "_scores"].values()))

    def test_age_and_gender(self):
        age, gender = network("fr_age"), network("fr_gender")
        for picture, face, got in self.each("fr_age,fr_gender"):
            pixels = bilinear(moved_inside(picture, face["box"], 1.4), 64, 64)
            normal = (pixels / 255 - MEAN) / SPREAD  # BGR, whatever the usage code says: models.md
            self.assertAlmostEqual(got["age"] / 101, ssr(run(age, normal, STAGES)), delta=TOLERANCE)
            male = min(max(ssr(run(gender, normal, STAGES)), 0), 1)
            self.scores(got, {"female": 1 - male, "male": male}, "gender")

    def test_expression(self):
        net = network("fr_expression")
        labels = ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]
        for picture, face, got in self.each("fr_expression"):
            x, y, w, h = face["box"]
            pixels = square(picture, x + w / 2, y + h / 2, 1.2 * max(w, h), 224)[:, :, ::-1] / 255
            self.scores(got, dict(zip(labels, softmax(run(net, pixels, ["output"])[0]))), "emotion")

    def test_pose(self):
        net = network("fr_pose")
        for picture, face, got in self.each("fr_pose"):
            x, y, w, h = face["box"]
            left, top = max(x - w / 4, 0), max(y - h / 4, 0)
            right, bottom = min(x + 1.25 * w, picture.shape[1]), min(y + 1.25 * h, picture.shape[0])
            a, b, c, d = whole(left, top, right - left, bottom - top)
            pixels = bilinear(picture[b:b + d, a:a + c], 224, 224)[:, :, ::-1]
            bins = run(net, (pixels / 255 - MEAN) / SPREAD, ["output", "617", "618"])
            for name, values in zip(("yaw", "pitch", "roll"), bins):
                angle = (softmax(values) * numpy.arange(66)).sum() * 3 - 99
                self.assertAlmostEqual(got[name] / 198, angle / 198, delta=TOLERANCE, msg=name)

    def test_eyes(self):
        net = network("fr_eye")
        for picture, face, got in self.each("fr_eye"):
            points = numpy.array(face["landmarks"])
            side = 1.6 * 0.42 * numpy.hypot(*(points[1] - points[0]))
            for name, (x, y) in zip(("left_eye", "right_eye"), points):
                left, top = x - side / 2, y - side / 2
                region = whole(left, top, side, side)
                if left >= 0 and top >= 0 and left + side <= picture.shape[1] and top + side <= picture.shape[0]:
                    crop = resize(picture.astype(float), region, 24, 24)
                else:
                    crop = black_outside(picture, left, top, side, 24)
                grey = crop @ numpy.array([0.114, 0.587, 0.299])
                pixels = numpy.floor(grey + 0.5)[:, :, None] / 255
                closed, opened = softmax(run(net, pixels, ["output"])[0])
                self.scores(got, {"closed": closed, "open": opened}, name)

    def test_liveness(self):
        net = network("fr_liveness")
        for picture, face, got in self.each("fr_liveness"):
            pixels = bilinear(moved_inside(picture, face["box"], 2.7), 128, 128)
            live = softmax(run(net, pixels, ["output"])[0])
            self.scores(got, {"true": live[0], "false": live[1] + live[2]}, "live")

    def test_fairface_with_made_weights(self):
        """ResNet-34 of FairFace's shape: seven of its eighteen outputs are the ethnicity's."""
        with tempfile.TemporaryDirectory() as folder:
            net = onnx_writer.Network((3, 224, 224))
            x = net.pool(net.relu(net.conv("input", 64, 7, 2)), 3, 2, 1)
            for channels, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
                for block in range(blocks):
                    stride = 2 if channels > 64 and block == 0 else 1
                    y = net.conv(net.relu(net.conv(x, channels, 3, stride)), channels, 3)
                    x = net.relu(net.scale(net.add(y, net.conv(x, channels, 1, stride) if stride > 1 else x), 0.7))
            net.dense(net.mean(x), 18, "output")
            path = os.path.join(folder, "fairface_res34_7.onnx")
            net.write(path)
            shutil.copy(os.path.join(ROOT, "models/fairface.json"), folder)
            env = {**os.environ, "SPHERE_MODEL_PATH": folder + ":" + os.environ.get("SPHERE_MODEL_PATH", "")}
            reference = cv2.dnn.readNetFromONNX(path)
            with open(os.path.join(folder, "fairface.json"), encoding="utf-8") as file:
                labels = json.load(file)["labels"]
            self.assertEqual(len(labels), 7)
            files, self.files = self.files, self.files[7:12]
            try:
                for picture, face, got in self.each("fairface", env):
                    x, y, w, h = face["box"]
                    pixels = square(picture, x + w / 2, y + h / 2, 1.5 * max(w, h), 224)[:, :, ::-1]
                    out = run(reference, (pixels / 255 - MEAN) / SPREAD, ["output"])[0]
                    self.assertEqual(out.shape, (18,))
                    self.scores(got, dict(zip(labels, softmax(out[:7]))), "ethnicity")
            finally:
                self.files = files


if __name__ == "__main__":
    unittest.main(verbosity=2)
