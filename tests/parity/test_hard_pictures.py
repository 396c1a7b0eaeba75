#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The pictures on which docs/detectors.md judges detectors: labelled noses are where a face's nose is, every run makes the
same, and the judge counts what it says it counts."""
import collections
import csv
import filecmp
import os
import sys
import tempfile
import unittest

import cv2
import numpy

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
DATA = os.path.join(os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared"), "data")
sys.path.insert(0, os.path.join(ROOT, "models/tools"))
import hard_pictures  # noqa: E402
import measure_detectors  # noqa: E402


def face(x, y, w, h, landmarks=None):
    return {"box": [x, y, w, h], "landmarks": landmarks}


class Judge(unittest.TestCase):
    def test_a_box_counts_for_one_nose(self):
        found, false = measure_detectors.match([face(0, 0, 100, 100), face(200, 0, 50, 50)], [(20, 20), (80, 80)])
        self.assertEqual((found, false), ([0, None], 1))

    def test_the_smaller_of_two_boxes_is_the_face(self):
        found, false = measure_detectors.match([face(0, 0, 100, 100), face(10, 10, 30, 30)], [(20, 20)])
        self.assertEqual((found, false), ([1], 1))

    def test_landmarks_are_judged_by_other_networks_only(self):
        points = numpy.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], float)
        off = (points + (8, 0)).tolist()  # a fifth of the eyes' distance
        said = {"yunet-320": off, "yunet-640": off, "mtcnn": points.tolist(), "dlib-hog": points.tolist(),
                "haar": points.tolist(), "scrfd-500m": points.tolist()}
        errors = measure_detectors.landmark_errors(
            {"a": [(50, 60)]}, {d: {"a": [face(0, 0, 100, 100, p)]} for d, p in said.items()})
        self.assertAlmostEqual(errors["yunet-320"][0], 0.2)
        self.assertAlmostEqual(errors["mtcnn"][0], 0)
        none = measure_detectors.landmark_errors({"a": [(50, 60)]}, {d: {"a": [face(0, 0, 100, 100, off)]} for d in ("haar", "ultralight")})
        self.assertEqual(none, {"haar": None, "ultralight": None})


class Pictures(unittest.TestCase):
    def setUp(self):
        if not os.path.isdir(os.path.join(DATA, "photos/compreface")):
            self.skipTest(f"no photographs at {DATA} (set SPHERE_TEST_DATA)")
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def noses_of(self, path):
        faces = measure_detectors.detect("yunet-640", [path])[0]
        return numpy.array([f["landmarks"][2] for f in faces]).reshape(-1, 2)

    def test_sets_have_their_faces_where_the_table_says(self):
        rows = hard_pictures.make(DATA, self.folder, ["tiny", "huge", "crowd", "profile"])
        with open(os.path.join(self.folder, "truth.csv"), encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([(r["set"], len(hard_pictures.points(r["noses"]))) for r in table], [(n, len(p)) for n, _, p in rows])
        counts = collections.Counter()
        for name, _, noses in rows:
            counts[name] += len(noses)
        self.assertEqual([counts[f"crowd of {n}"] for n in (52, 67, 19)], [52, 67, 19])
        self.assertEqual(counts["profile"], 40)
        self.assertEqual(counts["tiny 20 px"], counts["huge 900 px"])
        for name, path, noses in rows:
            height, width = cv2.imread(path).shape[:2]
            for x, y in noses:
                self.assertTrue(0 <= x < width and 0 <= y < height, path)
            if name == "huge 900 px":
                self.assertEqual(height, 900)
                self.assertLess(numpy.hypot(*(self.noses_of(path) - noses[0]).T).min(), 100, path)
            if name == "tiny 40 px":
                self.assertLess(numpy.hypot(*(self.noses_of(path) - noses[0]).T).min(), 6, path)

    def test_a_turned_picture_turns_its_noses(self):
        path = next(p for p, n in hard_pictures.labels(DATA).items() if len(n) == 5)
        for degrees in (15, 180):
            picture, noses = hard_pictures.rotated(cv2.imread(path), hard_pictures.labels(DATA)[path], degrees)
            upright = os.path.join(self.folder, "back.png")
            back, again = hard_pictures.rotated(picture, noses, -degrees)
            cv2.imwrite(upright, back)
            found = self.noses_of(upright)
            for nose in again:
                self.assertLess(numpy.hypot(*(found - nose).T).min(), 15, degrees)

    def test_every_run_makes_the_same(self):
        for name in ("a", "b"):
            hard_pictures.make(DATA, os.path.join(self.folder, name), ["dark"])
        files = sorted(os.listdir(os.path.join(self.folder, "a")))
        self.assertGreater(len(files), 30)
        for file in files:
            self.assertTrue(filecmp.cmp(*(os.path.join(self.folder, n, file) for n in ("a", "b")), shallow=False), file)


if __name__ == "__main__":
    unittest.main(verbosity=2)
