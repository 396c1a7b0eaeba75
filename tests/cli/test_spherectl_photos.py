#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl with the default models on real photographs."""
import csv
import os
import tempfile
import unittest

from cli_support import DATA, run, run_json, need

FAULTS = {  # file: faces, or None where an error is due
    "exif_orientation6.jpg": 1, "gray.jpg": 1, "gray16.png": 1, "rgb16.png": 1, "rgba.png": 1,
    "one_pixel.png": 0, "tall_3x4000.png": 0, "wide_4000x3.png": 0, "truncated.jpg": (0, 1),
    "text.jpg": None, "truncated.png": None, "zero_bytes.jpg": None,
    "truncated_faststart.mp4": None, "truncated_no_moov.mp4": None,
}


class Photos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("photos", "faults", models=("fr_feature", "yunet-640", "yunet-320", "ultralight"))

    def test_faults(self):
        folder = os.path.join(DATA, "faults")
        self.assertEqual(sorted(FAULTS), sorted(os.listdir(folder)))
        for name, faces in FAULTS.items():
            path = os.path.join(folder, name)
            with self.subTest(name):
                if faces is None:
                    done = run("detect", path)
                    self.assertEqual(done.returncode, 2)
                    self.assertIn(path, done.stderr)
                    continue
                code, document = run_json("detect", path)
                self.assertEqual(code, 0)
                self.assertIn(len(document["images"][0]["faces"]),
                              faces if isinstance(faces, tuple) else (faces,))

    def test_exif_orientation_is_applied(self):
        _, document = run_json("detect", os.path.join(DATA, "faults", "exif_orientation6.jpg"))
        self.assertEqual((document["images"][0]["width"], document["images"][0]["height"]), (320, 240))

    def test_labelled_faces_are_found(self):
        folder = os.path.join(DATA, "photos", "compreface")
        with open(os.path.join(folder, "ground_truth.csv"), encoding="utf-8") as file:
            truth = {row["file"]: row for row in csv.DictReader(file)}
        paths = [os.path.join(folder, name) for name in truth]
        for detector in ("yunet-640", "yunet-320", "ultralight"):
            _, document = run_json("detect", "--detector", detector, *paths)
            for image in document["images"]:
                row = truth[os.path.basename(image["path"])]
                self.assertEqual(len(image["faces"]), int(row["faces"]), f"{detector} {image['path']}")

    def test_labelled_noses_are_in_the_boxes(self):
        folder = os.path.join(DATA, "photos", "compreface")
        with open(os.path.join(folder, "ground_truth.csv"), encoding="utf-8") as file:
            truth = list(csv.DictReader(file))
        for row in truth:
            noses = [tuple(map(float, nose.split(":"))) for nose in row["noses_x_y"].split()]
            self.assertEqual(len(noses), int(row["faces"]))
            _, document = run_json("detect", os.path.join(folder, row["file"]))
            boxes = [face["box"] for face in document["images"][0]["faces"]]
            for x, y in noses:
                inside = [b for b in boxes if b[0] < x < b[0] + b[2] and b[1] < y < b[1] + b[3]]
                self.assertEqual(len(inside), 1, row["file"])

    def test_the_largest_face_is_enrolled_and_verified(self):
        picture = os.path.join(DATA, "photos", "face_recognition", "knn", "test", "obama_and_biden.jpg")
        _, document = run_json("detect", picture)
        boxes = [face["box"] for face in document["images"][0]["faces"]]
        self.assertEqual(len(boxes), 3)
        largest = max(boxes, key=lambda box: box[2] * box[3])
        with tempfile.TemporaryDirectory() as folder:
            _, document = run_json("enrol", "--gallery", os.path.join(folder, "g.db"), "--id", "x", picture)
        self.assertEqual([row["box"] for row in document["enrolled"]], [largest])
        _, document = run_json("verify", picture, picture)
        self.assertEqual([face["box"] for face in document["faces"]], [largest] * 2)
        _, document = run_json("represent", picture)
        self.assertEqual([face["box"] for face in document["images"][0]["faces"]], boxes)

    def test_faces_without_landmarks_are_named(self):
        picture = os.path.join(DATA, "photos", "compreface", "010_2.jpg")
        options = ("--detector", "ultralight", "--landmark-model", "none")
        done = run("represent", picture, *options)
        self.assertEqual(done.returncode, 2)
        for face in ("face 0", "face 1"):
            self.assertRegex(done.stderr, rf"010_2.jpg: {face} .*no-landmarks")
        code, document = run_json("detect", picture, *options)
        self.assertEqual((code, [f["landmarks"] for f in document["images"][0]["faces"]]), (0, [None, None]))

    def test_faults_through_every_command(self):
        paths = [os.path.join(DATA, "faults", name) for name in FAULTS]
        good = os.path.join(DATA, "photos", "face_recognition", "obama_small.jpg")
        with tempfile.TemporaryDirectory() as folder:
            gallery = os.path.join(folder, "g.db")
            _, document = run_json("enrol", "--gallery", gallery, "--id", "obama", good, *paths)
            refused = {os.path.basename(row["path"]) for row in document["failed"]}
            self.assertTrue({name for name, faces in FAULTS.items() if faces in (0, None)} <= refused)
            self.assertTrue({name for name, faces in FAULTS.items() if faces == 1}.isdisjoint(refused))
            code, document = run_json("find", "--gallery", gallery, *paths)
            self.assertEqual(code, 2)
            self.assertEqual({os.path.basename(row["path"]) for row in document["failed"]},
                             {name for name, faces in FAULTS.items() if faces is None})
            for image in document["images"]:
                if FAULTS[os.path.basename(image["path"])] == 1:
                    self.assertTrue(image["faces"][0]["known"], image["path"])
        for name, faces in FAULTS.items():
            done = run("verify", good, os.path.join(DATA, "faults", name))
            expected = (0,) if faces == 1 else (0, 1, 2) if isinstance(faces, tuple) else (2,)
            self.assertIn(done.returncode, expected, name)

    def test_no_faces(self):
        folder = os.path.join(DATA, "photos", "no_faces")
        _, document = run_json("detect", *[os.path.join(folder, f) for f in os.listdir(folder)])
        self.assertEqual([len(i["faces"]) for i in document["images"]], [0, 0, 0])

    def test_verify(self):
        folder = os.path.join(DATA, "photos", "compreface")
        photo = lambda name: os.path.join(folder, name)  # noqa: E731
        self.assertEqual(run("verify", photo("001_A.jpg"), photo("005_A.jpg")).returncode, 0)
        self.assertEqual(run("verify", photo("007_B.jpg"), photo("008_B.jpg")).returncode, 0)
        self.assertEqual(run("verify", photo("001_A.jpg"), photo("007_B.jpg")).returncode, 1)
        self.assertEqual(run("verify", photo("001_A.jpg"), photo("009_C.jpg")).returncode, 1)
        self.assertEqual(run("verify", photo("001_A.jpg"), photo("017_0.jpg")).returncode, 2)

    def test_enrol_and_find(self):
        knn = os.path.join(DATA, "photos", "face_recognition", "knn")
        with tempfile.TemporaryDirectory() as folder:
            gallery = os.path.join(folder, "people.db")
            self.assertEqual(run("enrol", "--gallery", gallery, os.path.join(knn, "train")).returncode, 0)
            expected = {"alex_lacamoire1.jpg": {"alex_lacamoire"}, "johnsnow_test1.jpg": {"kit_harington"},
                        "kit_with_rose.jpg": {"kit_harington", "rose_leslie"}, "obama1.jpg": {"obama"},
                        "obama_and_biden.jpg": {"obama", "biden"}}
            code, document = run_json("find", "--gallery", gallery,
                                      *[os.path.join(knn, "test", name) for name in expected])
            self.assertEqual(code, 0)
            for image in document["images"]:
                found = {f["candidates"][0]["id"] for f in image["faces"] if f["known"]}
                self.assertEqual(found, expected[os.path.basename(image["path"])], image["path"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
