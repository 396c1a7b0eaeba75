#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dlib-hog and dlib-68 equal dlib's own answer (tests/support/dlib_reference.cpp) on 50 pictures: boxes and points to
the pixel, scores within 1e-3."""
import json
import math
import os
import subprocess
import tempfile
import unittest

import cv2
import numpy

from test_more_detectors import SHARED, pictures

PREDICTOR = "/usr/share/dlib/shape_predictor_68_face_landmarks.dat"
MOST_PX = 700  # dlib doubles the picture and is slow


class Dlib(unittest.TestCase):
    def test_boxes_scores_and_points(self):
        reference = os.environ.get("SPHERE_TEST_DLIB", "")
        if not reference:
            self.skipTest("built without dlib (libdlib-dev)")
        if not os.path.exists(PREDICTOR):
            self.skipTest(f"no {PREDICTOR} (libdlib-data)")
        files = pictures()
        if not files:
            self.skipTest(f"no pictures below {SHARED} (set SPHERE_TEST_DATA)")
        with tempfile.TemporaryDirectory() as folder:
            made = []
            for i, file in enumerate(files):
                picture = cv2.imread(file)
                factor = min(1, MOST_PX / max(picture.shape[:2]))
                made.append(os.path.join(folder, f"{i}.ppm"))
                cv2.imwrite(made[-1], cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
            done = subprocess.run([reference, PREDICTOR, *made], capture_output=True, text=True, check=True)
            wanted = {path: [] for path in made}
            for line in done.stdout.splitlines():
                path, *numbers = line.split()
                wanted[path].append([float(n) for n in numbers])
            ours = subprocess.run(["spherectl", "detect", "--json", "--detector", "dlib-hog", *made], capture_output=True,
                                  text=True, check=True)
            faces = 0
            for image in json.loads(ours.stdout)["images"]:
                rows = sorted(wanted[image["path"]], key=lambda r: -r[4])
                self.assertEqual(len(image["faces"]), len(rows), image["path"])
                for face, row in zip(image["faces"], rows):
                    faces += 1
                    self.assertEqual(face["box"], row[:4])
                    self.assertAlmostEqual(face["score"], 1 / (1 + math.exp(-row[4])), delta=1e-3)
                    points = numpy.array(row[5:]).reshape(68, 2)
                    five = [points[[37, 38, 40, 41]].mean(0), points[[43, 44, 46, 47]].mean(0), points[30],
                            points[[48, 60]].mean(0), points[[54, 64]].mean(0)]
                    self.assertLess(numpy.abs(numpy.array(face["landmarks"]) - five).max(), 1e-3)
            self.assertEqual(len(files), 50)
            self.assertGreaterEqual(faces, 40)


if __name__ == "__main__":
    unittest.main(verbosity=2)
