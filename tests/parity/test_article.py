#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`sphereface20-deepface` behind `haar-deepface` is what the article's code of October 2020 computed.

The reference repeats that code's steps with OpenCV's Python: first Haar face (scale 1.3, 5 neighbours), the crop
turned about its centre so that the two largest Haar eyes are level, resized to 112 wide and 96 high, x / 255.
Weights are made by the test; the turn there takes the nearest pixel, ours blends four, so embeddings of turned
faces agree less closely.
"""
import glob
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
DATA = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
CASCADES = "/usr/share/opencv4/haarcascades"


def article_crop(picture, faces, eyes):
    """(crop, whether it was turned), or None without a face."""
    found = faces.detectMultiScale(picture, 1.3, 5)
    if len(found) == 0:
        return None
    x, y, w, h = found[0]
    face, turned = picture[y:y + h, x:x + w], False
    boxes = eyes.detectMultiScale(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY))
    if len(boxes) >= 2:
        two = sorted(boxes, key=lambda e: -e[2])[:2]
        left, right = sorted(two, key=lambda e: e[0])
        centre = [(int(e[0] + e[2] / 2), int(e[1] + e[3] / 2)) for e in (left, right)]
        angle = math.degrees(math.atan2(centre[1][1] - centre[0][1], centre[1][0] - centre[0][0]))
        if angle != 0:
            turn = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle, 1)
            face, turned = cv2.warpAffine(face, turn, (int(w), int(h)), flags=cv2.INTER_NEAREST), True
    return cv2.resize(face, (112, 96)), turned


def made_model(folder):
    """The official architecture with made weights, under the descriptor's own names."""
    prototxt = os.path.join(folder, "sphereface_deploy.prototxt")
    weights = os.path.join(folder, "sphereface_model.caffemodel")
    writer = os.path.join(ROOT, "tests", "support", "caffemodel_writer.py")
    subprocess.run([sys.executable, writer, "--make-prototxt", prototxt], check=True)
    subprocess.run([sys.executable, writer, "--prototxt", prototxt, "--out", weights], check=True,
                   capture_output=True)
    with open(os.path.join(ROOT, "models", "sphereface20-deepface.json"), encoding="utf-8") as file:
        descriptor = json.load(file)
    for entry in descriptor["files"]:
        with open(os.path.join(folder, entry["name"]), "rb") as file:
            content = file.read()
        entry["bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
    path = os.path.join(folder, "sphereface20-deepface.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(descriptor, file)
    # 96x112 in: fc5 still fits, 6x7 and 7x6 cells are as many.
    return path, cv2.dnn.readNetFromCaffe(prototxt, weights)


class Article(unittest.TestCase):
    def test_embeddings(self):
        paths = sorted(glob.glob(os.path.join(DATA, "data", "deepface-unit", "img*.jpg")))[:24]
        if not paths:
            self.skipTest(f"no pictures at {DATA} (set SPHERE_TEST_DATA)")
        faces = cv2.CascadeClassifier(os.path.join(CASCADES, "haarcascade_frontalface_default.xml"))
        eyes = cv2.CascadeClassifier(os.path.join(CASCADES, "haarcascade_eye.xml"))
        with tempfile.TemporaryDirectory() as folder:
            descriptor, net = made_model(folder)
            # In the article's precision: what auto takes depends on the CPU.
            done = subprocess.run(["spherectl", "represent", "--json", "--detector", "haar-deepface", "--precision", "fp32",
                                   "--model", descriptor, *paths], capture_output=True, text=True, check=False)
            ours = {image["path"]: image["faces"] for image in json.loads(done.stdout)["images"]}
            upright = turned = 0
            directions = []
            for path in paths:
                wanted = article_crop(cv2.imread(path), faces, eyes)
                if wanted is None:
                    self.assertFalse(ours.get(path), path)
                    continue
                got = numpy.array(ours[path][0]["embedding"]["data"])
                net.setInput(cv2.dnn.blobFromImage(wanted[0], 1 / 255, (112, 96)))
                reference = net.forward("fc5").reshape(-1)
                cosine = got @ reference / numpy.linalg.norm(got) / numpy.linalg.norm(reference)
                print(f"{os.path.basename(path)} {'turned' if wanted[1] else 'upright'} cosine {cosine:.5f}")
                upright, turned = upright + (not wanted[1]), turned + wanted[1]
                directions.append(reference / numpy.linalg.norm(reference))
                self.assertGreater(cosine, 0.999 if wanted[1] else 0.99999, path)
        # A positive control: other faces are far below what is asked for.
        others = [a @ b for i, a in enumerate(directions) for b in directions[:i]]
        self.assertLess(numpy.median(others), 0.999)
        print(f"{upright} upright and {turned} turned faces")
        self.assertGreater(upright, 0)
        self.assertGreater(turned, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
