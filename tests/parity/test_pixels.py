#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Resize, warp and similarity against numpy in double precision and against OpenCV."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pixel_reference as reference  # noqa: E402
from pixel_reference import Frame  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SPHERE_BUILD_ROOT", ROOT / "build"))
DATA = pathlib.Path(os.environ.get("SPHERE_TEST_DATA", ROOT.parent / "shared")) / "data"

# Rounding takes half a level; single precision may add this much. The project allows 2 levels.
TOLERANCE = 0.502


class Tool:
    """One running sphere-test-pixels."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.process = subprocess.Popen([BUILD / "tests/parity/sphere-test-pixels"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rng = np.random.default_rng(99)
        self.count = 0

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        data = self.process.stdout.read(answer["bytes"])
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer, data

    def load(self, frame):
        """Writes the frame; its description goes into the requests."""
        self.count += 1
        path = self.folder / f"frame{self.count}"
        return frame.write(path, self.rng)

    def picture(self, **request):
        answer, data = self.ask(**request)
        return np.frombuffer(data, np.uint8).reshape(answer["height"], answer["width"], 3)


class Pixels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.tool = Tool(cls.temporary.name)

    @classmethod
    def tearDownClass(cls):
        status = cls.tool.close()
        cls.temporary.cleanup()
        assert status == 0, f"the tool ended with {status}"

    def assert_near(self, got, expected, tolerance, what=""):
        self.assertEqual(got.shape, expected.shape)
        worst = np.abs(got - expected).max()
        self.assertLessEqual(worst, tolerance, what)

    def photos(self):
        found = sorted((DATA / "photos").glob("c*/*.jpg"))
        if not found:
            self.skipTest(f"no photos below {DATA} (set SPHERE_TEST_DATA)")
        return found


def random_roi(rng, width, height):
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    return [x, y, int(rng.integers(1, width - x + 1)), int(rng.integers(1, height - y + 1))]


def similarity(scale, angle, source, target):
    """2x3 that takes the point `source` to `target`."""
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[a, -b], [b, a]])
    return np.hstack([turn, (np.asarray(target) - turn @ np.asarray(source))[:, None]])


class AgainstDoublePrecision(Pixels):
    def test_resize_random_frames(self):
        rng = np.random.default_rng(1)
        for fmt in reference.FORMATS:
            for _ in range(20):
                width, height = (int(v) for v in rng.integers(1, 150, 2))
                frame = Frame.random(rng, fmt, width, height)
                roi = random_roi(rng, width, height)
                out = [int(v) for v in rng.integers(1, 150, 2)]
                with self.subTest(fmt=fmt, size=(width, height), roi=roi, out=out):
                    got = self.tool.picture(op="resize", roi=roi, out=out,
                                            **self.tool.load(frame))
                    self.assert_near(got, reference.resize(frame.bgr(), roi, *out), TOLERANCE)

    def test_warp_random_frames(self):
        rng = np.random.default_rng(2)
        for fmt in reference.FORMATS:
            for i in range(20):
                width, height = (int(v) for v in rng.integers(1, 150, 2))
                frame = Frame.random(rng, fmt, width, height)
                matrix = similarity(np.exp(rng.uniform(-1.5, 1.5)), rng.uniform(-3.2, 3.2),
                                    rng.uniform(0, 1, 2) * [width, height], (56, 56))
                more = {} if i % 2 else {"limit": random_roi(rng, width, height)}
                with self.subTest(fmt=fmt, size=(width, height), matrix=matrix.tolist(), **more):
                    got = self.tool.picture(op="warp", matrix=matrix.ravel().tolist(),
                                            out=[112, 112], **more, **self.tool.load(frame))
                    expected = reference.warp(frame.bgr(), matrix, 112, 112, more.get("limit"))
                    self.assert_near(got, expected, TOLERANCE)

    def test_frames_of_photos(self):
        """Photographs as a decoder would give them: 640 wide for the detector, 112x112 crops."""
        rng = np.random.default_rng(3)
        for path in self.photos():
            matrix = str(rng.choice(list(reference.MATRICES)))
            frame = Frame.i420_from_bgr(cv2.imread(str(path)), matrix, bool(rng.integers(0, 2)))
            described, bgr = self.tool.load(frame), frame.bgr()
            roi = [0, 0, frame.width, frame.height]
            out = [640, max(1, round(640 * frame.height / frame.width))]
            with self.subTest(photo=path.name):
                got = self.tool.picture(op="resize", roi=roi, out=out, **described)
                self.assert_near(got, reference.resize(bgr, roi, *out), TOLERANCE)
                face = similarity(0.7, rng.uniform(-0.6, 0.6),
                                  rng.uniform(0.2, 0.8, 2) * [frame.width, frame.height], (56, 60))
                got = self.tool.picture(op="warp", matrix=face.ravel().tolist(), out=[112, 112],
                                        **described)
                self.assert_near(got, reference.warp(bgr, face, 112, 112), TOLERANCE)

    def test_tensor_is_rounded_then_normalised(self):
        rng = np.random.default_rng(4)
        frame = Frame.random(rng, "NV12", 97, 61)
        described, roi, out = self.tool.load(frame), [3, 1, 91, 60], [40, 30]
        picture = self.tool.picture(op="resize", roi=roi, out=out, **described).astype(float)
        mean, scale = [104.0, 117.0, 123.0], [0.5, 1.0, 2.0]
        for order, channels in (("BGR", (0, 1, 2)), ("RGB", (2, 1, 0))):
            _, data = self.tool.ask(op="tensor", roi=roi, out=out, order=order, mean=mean,
                                    scale=scale, **described)
            expected = (picture[:, :, channels] - mean) * scale
            got = np.frombuffer(data, np.float32).reshape(3, 30, 40)
            np.testing.assert_array_equal(got, np.moveaxis(expected, 2, 0))
        _, data = self.tool.ask(op="tensor", roi=roi, out=out, order="Gray", mean=[0, 0, 0],
                                scale=[1, 1, 1], **described)
        luma = reference.resize(frame.bgr(), roi, *out) @ [0.114, 0.587, 0.299]
        self.assert_near(np.frombuffer(data, np.float32).reshape(30, 40), luma, TOLERANCE)

    def test_refusals_come_back_as_errors(self):
        described = self.tool.load(Frame.random(np.random.default_rng(5), "I420", 20, 20))
        with self.assertRaisesRegex(ValueError, "region"):
            self.tool.ask(op="resize", roi=[1, 0, 20, 20], out=[4, 4], **described)
        with self.assertRaisesRegex(ValueError, "inverse"):
            self.tool.ask(op="warp", matrix=[0] * 6, out=[4, 4], **described)


class AgainstOpenCV(Pixels):
    def bgr_frame(self, picture):
        height, width = picture.shape[:2]
        return Frame("BGR", width, height, [picture.reshape(height, -1)])

    def test_resize_within_one_level(self):
        """cv2.resize weighs in 11 bits a side and rounds once more: one level."""
        rng = np.random.default_rng(6)
        for path in self.photos()[::3]:
            picture = cv2.imread(str(path))
            height, width = picture.shape[:2]
            described = self.tool.load(self.bgr_frame(picture))
            for out in ((640, 360), (320, 240), (width // 2, height // 2),
                        tuple(int(v) for v in rng.integers(50, 900, 2))):
                with self.subTest(photo=path.name, out=out):
                    got = self.tool.picture(op="resize", roi=[0, 0, width, height],
                                            out=list(out), **described)
                    expected = cv2.resize(picture, out, interpolation=cv2.INTER_LINEAR)
                    self.assert_near(got.astype(int), expected.astype(int), 1)

    def warped(self, picture, rng):
        """(ours, OpenCV's) of a random face-sized crop."""
        height, width = picture.shape[:2]
        matrix = similarity(np.exp(rng.uniform(-1, 1)), rng.uniform(-1, 1),
                            rng.uniform(0, 1, 2) * [width, height], (56, 60))
        ours = self.tool.picture(op="warp", matrix=matrix.ravel().tolist(), out=[112, 112],
                                 **self.tool.load(self.bgr_frame(picture)))
        theirs = cv2.warpAffine(picture, matrix, (112, 112), flags=cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_CONSTANT)
        return ours.astype(int), theirs.astype(int)

    def test_warp_of_smooth_pictures_within_two_levels(self):
        """cv2.warpAffine moves each sample to the nearest 1/32 pixel, so by 1/64 pixel at most
        along each axis. Where neighbours differ by under 32 levels, that is half a level along
        each; the two roundings give the second level."""
        rng = np.random.default_rng(7)
        for path in self.photos():
            picture = cv2.imread(str(path))
            cv2.rectangle(picture, (0, 0), (picture.shape[1] - 1, picture.shape[0] - 1), (0, 0, 0),
                          40)
            picture = cv2.GaussianBlur(picture, (0, 0), 5)
            picture[[0, -1]] = 0
            picture[:, [0, -1]] = 0
            signed = picture.astype(int)
            steepest = max(np.abs(np.diff(signed, axis=k)).max() for k in (0, 1))
            self.assertLess(steepest, 32)
            with self.subTest(photo=path.name):
                self.assert_near(*self.warped(picture, rng), 2)

    def test_warp_of_photos_within_the_quantisation(self):
        """The same 1/64 pixel on a step of 255 along both axes is 8 levels; rarely so in a photo."""
        rng = np.random.default_rng(8)
        for path in self.photos():
            with self.subTest(photo=path.name):
                ours, theirs = self.warped(cv2.imread(str(path)), rng)
                difference = np.abs(ours - theirs)
                self.assertLessEqual(difference.max(), 9)
                self.assertLess((difference > 2).mean(), 0.02)


class Similarity(Pixels):
    def test_equals_umeyama_by_svd(self):
        """Landmarks of faces from tiny to large, noisy and mirrored ones among them."""
        rng = np.random.default_rng(9)
        template = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])
        for i in range(500):
            face = template * np.exp(rng.uniform(-2, 2)) + rng.uniform(0, 1900, 2)
            face += rng.normal(0, rng.choice([0, 1, 20]), face.shape)
            if i % 5 == 0:
                face = face[:, ::-1]
            face = face.astype(np.float32).astype(float)
            answer, _ = self.tool.ask(op="similarity", to=template.tolist(),
                                      **{"from": face.tolist()})
            got = np.reshape(answer["matrix"], (2, 3))
            target = template.astype(np.float32)
            expected = reference.umeyama(face, target)
            points = np.hstack([face, np.ones((5, 1))])
            self.assertLess(np.abs(points @ (got - expected).T).max(), 0.05)

    def test_fits_no_worse_than_opencv(self):
        rng = np.random.default_rng(10)
        for _ in range(100):
            source, target = rng.uniform(0, 500, (2, 5, 2))
            answer, _ = self.tool.ask(op="similarity", to=target.tolist(),
                                      **{"from": source.tolist()})
            other, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.LMEDS)
            points = np.hstack([source, np.ones((5, 1))])
            error = [((points @ np.reshape(m, (2, 3)).T - target) ** 2).sum()
                     for m in (answer["matrix"], other) if m is not None]
            self.assertLessEqual(error[0], error[-1] + 1e-3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
