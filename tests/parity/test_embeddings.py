#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Our embedding of a given crop equals OpenCV's Python on the same crop within 1e-4, relative to its norm.

The reference is cv2.dnn with blobFromImage, written from the models' public descriptions; it imports nothing of
ours. SphereFace-20 runs with weights that the test makes (tests/support/caffemodel_writer.py): the official
architecture at true shapes.
"""
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
DATA = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")
PICTURES = 200
TOLERANCE = 1e-4
OFFICIAL = os.path.join(DATA, "models", "sphereface_deploy.prototxt")


def crops(width, height):
    """A crop of each of 200 pictures: any crop will do, so the middle, resized. Noise without data."""
    paths = sorted(glob.glob(os.path.join(DATA, "data", "lfw-dev", "*", "*.jpg")))[:PICTURES]
    if not paths:
        return numpy.random.default_rng(7).integers(0, 256, (20, height, width, 3)).astype(numpy.uint8)
    pictures = [cv2.imread(path) for path in paths]
    return numpy.stack([cv2.resize(p[60:200, 65:185], (width, height)) for p in pictures])


def run(*command):
    """Standard output; a failure shows what the program said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def made_network(folder, prototxt=None, seed=1):
    """(prototxt, weights); without `prototxt` the writer makes that as well."""
    writer = os.path.join(ROOT, "tests", "support", "caffemodel_writer.py")
    if prototxt is None:
        prototxt = os.path.join(folder, "made.prototxt")
        run(sys.executable, writer, "--make-prototxt", prototxt)
    weights = os.path.join(folder, f"{os.path.basename(prototxt)}-{seed}.caffemodel")
    run(sys.executable, writer, "--prototxt", prototxt, "--out", weights, "--seed", str(seed))
    return prototxt, weights


def ours(model, flip, pictures, folder):
    raw, out = os.path.join(folder, "crops.raw"), os.path.join(folder, "out.f32")
    pictures.tofile(raw)
    run(os.environ["SPHERE_TEST_EMBED"], model, flip, raw, out)
    return numpy.fromfile(out, "<f4").reshape(len(pictures), -1)


def reference(net, pictures, mean, scale, swap, output=None):
    rows = []
    for picture in pictures:
        size = (picture.shape[1], picture.shape[0])
        net.setInput(cv2.dnn.blobFromImage(picture, scale, size, (mean,) * 3, swapRB=swap))
        rows.append(net.forward(output).reshape(-1).copy() if output else net.forward().reshape(-1).copy())
    return numpy.stack(rows)


class MadeNetwork(unittest.TestCase):
    """What the tests take for SphereFace-20 is SphereFace-20."""

    def test_weights_follow_the_seed_and_numbers_stay_in_range(self):
        with tempfile.TemporaryDirectory() as folder:
            contents, embeddings = [], []
            for seed in (1, 2, 1):
                prototxt, weights = made_network(folder, seed=seed)
                with open(weights, "rb") as file:
                    contents.append(file.read())
                net = cv2.dnn.readNetFromCaffe(prototxt, weights)
                embeddings.append(reference(net, crops(96, 112)[:8], 127.5, 1 / 128, False, "fc5"))
            self.assertEqual(contents[0], contents[2])
            self.assertNotEqual(contents[0], contents[1])
            for rows in embeddings:
                self.assertEqual(rows.shape, (8, 512))
                self.assertTrue(numpy.isfinite(rows).all())
                self.assertGreater(rows.std(), 0.01)  # neither vanished
                self.assertLess(numpy.abs(rows).max(), 1e3)  # nor grown

    def test_the_made_architecture_is_the_official_one(self):
        if not os.path.exists(OFFICIAL):
            self.skipTest(f"no {OFFICIAL} (set SPHERE_TEST_DATA)")
        with tempfile.TemporaryDirectory() as folder:
            nets = [cv2.dnn.readNetFromCaffe(*made_network(folder, path)) for path in (None, OFFICIAL)]
            made, official = ([(name, net.getLayer(name).type, [blob.shape for blob in net.getLayer(name).blobs])
                               for name in net.getLayerNames()] for net in nets)
            self.assertEqual(made, official)
            self.assertEqual(sum(kind == "Convolution" for _, kind, _ in official), 20)
            # Strides, pads and connections: every layer's numbers.
            blob = cv2.dnn.blobFromImages(list(crops(96, 112)[:2]), 1 / 128, (96, 112), (127.5,) * 3)
            names = nets[0].getLayerNames()
            for net in nets:
                net.setInput(blob)
            for name, a, b in zip(names, *(net.forward(names) for net in nets)):
                self.assertEqual(a.shape, b.shape, name)
                self.assertTrue(numpy.array_equal(a, b), name)


class Embeddings(unittest.TestCase):
    def assert_parity(self, got, wanted):
        self.assertEqual(got.shape, wanted.shape)
        error = numpy.linalg.norm(got - wanted, axis=1) / numpy.linalg.norm(wanted, axis=1)
        self.assertLess(error.max(), TOLERANCE)
        # A positive control: another crop's embedding is far outside the tolerance.
        other = numpy.linalg.norm(got - numpy.roll(wanted, 1, 0), axis=1) / numpy.linalg.norm(wanted, axis=1)
        self.assertGreater(numpy.median(other), 100 * TOLERANCE)

    def test_fr_feature(self):
        listed = json.loads(run("spherectl", "models", "list", "--json"))
        model, = [m for m in listed["models"] if m["name"] == "fr_feature"]
        if not model["installed"]:
            self.skipTest("fr_feature is not fetched (spherectl models fetch fr_feature)")
        pictures = crops(112, 112)
        net = cv2.dnn.readNetFromONNX(model["files"][0]["path"])
        with tempfile.TemporaryDirectory() as folder:
            self.assert_parity(ours("fr_feature", "none", pictures, folder),
                               reference(net, pictures, 127.5, 1 / 127.5, True))

    def test_sphereface20(self):
        with tempfile.TemporaryDirectory() as folder:
            prototxt, weights = made_network(folder, OFFICIAL if os.path.exists(OFFICIAL) else None)
            descriptor = self.descriptor_of_made_weights(folder, prototxt, weights)
            net = cv2.dnn.readNetFromCaffe(prototxt, weights)
            pictures = crops(96, 112)
            got = ours(descriptor, "concat", pictures, folder)
            self.assertEqual(got.shape[1], 1024)
            self.assert_parity(got[:, :512], reference(net, pictures, 127.5, 1 / 128, False, "fc5"))
            mirrored = numpy.ascontiguousarray(pictures[:, :, ::-1])
            self.assert_parity(got[:, 512:], reference(net, mirrored, 127.5, 1 / 128, False, "fc5"))

    @staticmethod
    def descriptor_of_made_weights(folder, prototxt, weights):
        """sphereface20's own descriptor, with the made files' sizes and hashes."""
        with open(os.path.join(ROOT, "models", "sphereface20.json"), encoding="utf-8") as file:
            descriptor = json.load(file)
        descriptor["name"] = "sphereface20-made"
        for entry in descriptor["files"]:
            path = weights if entry["role"] == "weights" else prototxt
            with open(path, "rb") as file:
                content = file.read()
            # Beside the descriptor, where files are looked for first.
            entry["name"] = entry["role"] + "-of-the-test"
            with open(os.path.join(folder, entry["name"]), "wb") as file:
                file.write(content)
            entry["bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        path = os.path.join(folder, "sphereface20-made.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(descriptor, file)
        return path


if __name__ == "__main__":
    unittest.main(verbosity=2)
