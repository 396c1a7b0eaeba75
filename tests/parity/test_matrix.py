#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Any detector before any recogniser: photographs of two people through every pair that is installed, and a box
recogniser with made weights."""
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
SHARED = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
PHOTOS = os.path.join(SHARED, "data/photos/face_recognition")
ONE = ["obama-720p.jpg", "knn/train/obama/obama.jpg"]
OTHER = ["knn/train/biden/biden.jpg", "knn/train/biden/biden2.jpg"]
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import made_networks  # noqa: E402


def spherectl(*arguments, env=None):
    return subprocess.run(["spherectl", *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=300, env=env)


def installed(task):
    models = json.loads(spherectl("models", "list", "--json").stdout)["models"]
    return [m["name"] for m in models if m["task"] == task and m["installed"] and not m["name"].startswith("fake")]


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.isdir(PHOTOS):
            raise unittest.SkipTest(f"no photographs at {PHOTOS} (set SPHERE_TEST_DATA)")
        cls.files = [os.path.join(PHOTOS, name) for name in ONE + OTHER]
        cls.detectors = installed("detect")
        if not cls.detectors:
            raise unittest.SkipTest("no detector is installed (spherectl models fetch)")

    def embeddings(self, detector, model, env=None):
        done = spherectl("represent", "--json", "--detector", detector, "--model", model, *self.files, env=env)
        self.assertEqual(done.returncode, 0, f"{detector} x {model}: {done.stderr}")
        rows = []
        for image in json.loads(done.stdout)["images"]:
            faces = [f for f in image["faces"] if f["embedding"]]
            largest = max(faces, key=lambda f: f["box"][2] * f["box"][3])
            rows.append(numpy.array(largest["embedding"]["data"]))
        self.assertEqual(len(rows), len(self.files), f"{detector} x {model}")
        return rows

    def test_every_detector_before_every_landmark_recogniser(self):
        models = [m for m in ("fr_feature", "mobilefacenet", "mfn_honghu") if m in installed("embed")][:2]
        if not models:
            self.skipTest("no recogniser is installed (spherectl models fetch fr_feature)")
        for detector, model in itertools.product(self.detectors, models):
            with self.subTest(detector=detector, model=model):
                if detector == "haar-deepface":  # boxes alone: said, not guessed
                    done = spherectl("represent", "--detector", detector, "--model", model, self.files[0])
                    self.assertEqual(done.returncode, 2)
                    self.assertIn("no-landmarks", done.stderr)
                    continue
                a = [row / numpy.linalg.norm(row) for row in self.embeddings(detector, model)]
                same = [1 - a[0] @ a[1], 1 - a[2] @ a[3]]
                different = [1 - a[i] @ a[j] for i in (0, 1) for j in (2, 3)]
                self.assertLess(max(same), min(different) - 0.2)

    def test_every_detector_before_a_box_recogniser(self):
        with tempfile.TemporaryDirectory() as folder:
            made_networks.deepid(os.path.join(folder, "deepid.onnx"))
            shutil.copy(os.path.join(ROOT, "models/deepid.json"), folder)
            env = {**os.environ, "SPHERE_MODEL_PATH": folder + ":" + os.environ.get("SPHERE_MODEL_PATH", "")}
            for detector in self.detectors:
                with self.subTest(detector=detector):
                    for row in self.embeddings(detector, "deepid", env):
                        self.assertEqual(row.shape, (160,))
                        self.assertTrue(numpy.isfinite(row).all() and row.any())

    def test_every_detector_before_every_template(self):
        """A recogniser of each template (a test double, which looks at the crop's pixels) gets a crop of every detector."""
        templates = ("sphereface-112x96", "arcface-112x112", "openface-96x96", "box-152x152", "box-224x224", "box-160x160")
        picture = os.path.join(PHOTOS, "obama_small.jpg")
        with tempfile.TemporaryDirectory() as folder:
            for template in templates:
                height, width = map(int, template.split("-")[1].split("x"))
                with open(os.path.join(folder, template + ".json"), "w", encoding="utf-8") as file:
                    json.dump({"name": template, "task": "embed", "framework": "fake", "decoder": "embedding", "licence": "MIT",
                               "input": {"width": width, "height": height, "mean": 127.5, "scale": 1 / 128},
                               "outputs": ["embedding"], "template": template, "dims": 128}, file)
            env = {**os.environ, "SPHERE_MODEL_PATH": folder + ":" + os.environ.get("SPHERE_MODEL_PATH", "")}
            for detector, template in itertools.product(self.detectors, templates):
                with self.subTest(detector=detector, template=template):
                    done = spherectl("represent", "--json", "--detector", detector, "--model", template, picture, env=env)
                    if detector == "haar-deepface" and not template.startswith("box"):
                        self.assertEqual(done.returncode, 2)
                        self.assertIn("no-landmarks", done.stderr)
                        continue
                    self.assertEqual(done.returncode, 0, done.stderr)
                    faces = json.loads(done.stdout)["images"][0]["faces"]
                    self.assertEqual(len(faces), 1)
                    row = numpy.array(faces[0]["embedding"]["data"])
                    self.assertEqual(row.shape, (128,))
                    self.assertTrue(numpy.isfinite(row).all() and row.any())


if __name__ == "__main__":
    unittest.main(verbosity=2)
