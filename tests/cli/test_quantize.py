#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl quantize: what it stores, what it says of bad input, and that int8 then works."""
import json
import os
import shutil
import struct
import tempfile
import unittest

from cli_support import DATA, ROOT, need, run, run_json

DETECTOR = ["--detector", "yunet-320"]


def embeddings(path):
    """The rows of an .npy file of float32 (NumPy's format 1.0)."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack("<H", data[8:10])
    header = data[10:10 + length].decode()
    rows, columns = (int(n) for n in header.split("(")[1].split(")")[0].split(","))
    values = struct.unpack(f"<{rows * columns}f", data[10 + length:])
    return [values[i * columns:(i + 1) * columns] for i in range(rows)]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


class Quantize(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("deepface-unit", models=["fr_feature", "yunet-320"])
        listing = run_json("models", "list")[1]["models"]
        weights = next(m for m in listing if m["name"] == "fr_feature")["files"][0]["path"]
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        models = os.path.join(cls.folder, "sphere", "models")
        os.makedirs(models)
        shutil.copy(weights, models)
        cls.stored = os.path.join(models, "fr_feature.int8.json")
        cls.env = {"XDG_DATA_HOME": cls.folder}
        cls.images = os.path.join(DATA, "deepface-unit")
        cls.picture = os.path.join(cls.images, "img1.jpg")

    def quantize(self, *arguments):
        return run("quantize", "--model", "fr_feature", "--images", self.images, *DETECTOR, *arguments, env=self.env)

    def represent(self, precision):
        out = os.path.join(self.folder, precision + ".npy")
        done = run("represent", self.picture, "--model", "fr_feature", "--engine", "onednn", "--precision", precision,
                   *DETECTOR, "--npy", out, env=self.env)
        return done, out

    def test_bad_use(self):
        for arguments, says in ((["quantize"], "--images"),
                                (["quantize", "--images", "/nowhere", "--model", "fr_feature"], "/nowhere"),
                                (["quantize", "x", "--images", self.images], "x"),
                                (["quantize", "--images", self.images, "--model", "fr_feature", "--aligned"],
                                 "--aligned")):
            done = run(*arguments, env=self.env)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)

    def test_int8_works_once_measured(self):
        if os.path.exists(self.stored):
            os.remove(self.stored)
        before, _ = self.represent("int8")
        self.assertEqual(before.returncode, 2, before.stderr)
        if "built without" in before.stderr or "needs AVX2" in before.stderr:
            self.skipTest(before.stderr.strip())
        self.assertIn("spherectl quantize", before.stderr)
        done = self.quantize("--count", "24", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["path"], self.stored)
        self.assertGreaterEqual(document["pictures"], 16)
        self.assertIn(document["weight_bits"], (7, 8))
        self.assertGreater(document["cosine"], 0.99)
        int8, fp32 = self.represent("int8"), self.represent("fp32")
        self.assertEqual((int8[0].returncode, fp32[0].returncode), (0, 0), int8[0].stderr)
        for a, b in zip(embeddings(int8[1]), embeddings(fp32[1])):
            self.assertGreater(cosine(a, b), 0.98)
            self.assertNotEqual(a, b)
        with open(self.stored, encoding="utf-8") as file:
            calibration = json.load(file)
        calibration["sha256"] = "0" * 64
        with open(self.stored, "w", encoding="utf-8") as file:
            json.dump(calibration, file)
        other, _ = self.represent("int8")
        self.assertEqual(other.returncode, 2, other.stderr)
        self.assertIn(self.stored, other.stderr)
        automatic, _ = self.represent("auto")
        self.assertEqual(automatic.returncode, 0, automatic.stderr)
        self.assertIn("goes on without int8", automatic.stderr)


class QuantizeDetector(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("photos/compreface", models=["yunet-320"])
        listing = run_json("models", "list")[1]["models"]
        weights = next(m for m in listing if m["name"] == "yunet-320")["files"][0]["path"]
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        shutil.copy(weights, folder.name)
        descriptor = os.path.join(ROOT, "models", "yunet-320.json")
        cls.model = shutil.copy(descriptor, folder.name)
        cls.stored = os.path.join(folder.name, "yunet-320.int8.json")
        cls.images = os.path.join(DATA, "photos", "compreface")

    def quantize(self, *arguments):
        return run("quantize", "--model", self.model, *arguments)

    def faces(self, *precision):
        done = run("detect", "--json", "--detector", self.model, "--engine", "onednn", *precision,
                   os.path.join(self.images, "016_8.jpg"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["images"][0]["faces"]

    def test_bad_use(self):
        for arguments, says in ((["--aligned", "--images", self.images], "--aligned"),
                                (["--detector", "yunet-320", "--images", self.images], "--detector"),
                                (["--images", os.path.join(DATA, "photos", "no_faces")], "no face")):
            done = self.quantize(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)
        done = run("detect", "--detector-precision", "int9", os.path.join(self.images, "016_8.jpg"))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--detector-precision", done.stderr)

    def test_int8_finds_the_same_faces(self):
        done = self.quantize("--images", self.images, "--json")
        if "built without" in done.stderr or "needs AVX2" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["path"], self.stored)
        self.assertNotIn("cosine", document)
        agreement = document["faces"]
        self.assertGreater(agreement["fp32"], 30)
        self.assertGreaterEqual(agreement["agreed"], 0.95 * agreement["fp32"])
        self.assertGreater(agreement["iou"], 0.95)
        self.assertLess(agreement["landmarks_mean"], 0.03)
        self.assertGreater(document["int8_products"], 0.3)
        with open(self.stored, encoding="utf-8") as file:
            self.assertEqual(json.load(file)["faces"], agreement)
        fp32, int8 = self.faces("--precision", "fp32"), self.faces("--precision", "int8")
        self.assertEqual(len(fp32), 8)
        self.assertEqual(len(int8), 8)
        self.assertNotEqual(fp32, int8)
        self.assertEqual(self.faces("--precision", "fp32", "--detector-precision", "int8"), int8)
        text = self.quantize("--images", self.images)
        self.assertIn("by both", text.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
