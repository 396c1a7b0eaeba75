#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The recognisers of models/ whose weights no program can fetch: their architectures at true shapes, with weights made
here, through our embedder by the project's own descriptors, against a separate run of the same files by cv2.dnn.

mobilefacenet runs with its true weights where they are. SPHERE_SLOW_TESTS=1 adds the large ones (VGG-Face: 580 MB,
DeepFace: 420 MB, ArcFace r100: 260 MB).
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy

from test_embeddings import ROOT, crops, ours, reference, run

sys.path.insert(0, os.path.join(ROOT, "tests/support"))
import made_networks  # noqa: E402

TOLERANCE = 1e-4
SLOW = bool(os.environ.get("SPHERE_SLOW_TESTS"))


class Recognisers(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def compare(self, name, net, mean, scale, swap, count=12):
        """`net` reads the made files; the descriptor is the project's, beside them."""
        with open(os.path.join(ROOT, "models", name + ".json"), encoding="utf-8") as file:
            descriptor = json.load(file)
        for entry in descriptor["files"]:  # made files have sizes of their own
            entry.pop("bytes", None), entry.pop("sha256", None)
            entry["sources"] = []
        path = os.path.join(self.folder, name + ".json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(descriptor, file)
        width, height = descriptor["input"]["width"], descriptor["input"]["height"]
        pictures = crops(width, height)[:count]
        got = ours(path, "none", pictures, self.folder)
        output = descriptor["outputs"][0] if descriptor["outputs"] else None
        rows = []
        for picture in pictures:
            blob = (picture[:, :, ::-1] if swap else picture).astype(numpy.float32)
            net.setInput(((blob - numpy.float32(mean)) * numpy.float32(scale)).transpose(2, 0, 1)[None].copy())
            rows.append((net.forward(output) if output else net.forward()).ravel().copy())
        wanted = numpy.stack(rows)
        self.assertEqual(got.shape, (count, descriptor["dims"]))
        self.assertEqual(got.shape, wanted.shape)
        length = numpy.linalg.norm(wanted, axis=1)
        self.assertTrue((length > 0).all())
        self.assertLess((numpy.linalg.norm(got - wanted, axis=1) / length).max(), TOLERANCE)
        other = numpy.linalg.norm(got - numpy.roll(wanted, 1, 0), axis=1) / length
        self.assertGreater(numpy.median(other), 10 * TOLERANCE)  # another crop's is another
        return got

    def file(self, name):
        return os.path.join(self.folder, name)

    def slow(self):
        if not SLOW:
            self.skipTest("hundreds of megabytes: set SPHERE_SLOW_TESTS=1")

    def test_facenet128(self):
        made_networks.facenet(self.file("facenet128.onnx"), 128)
        self.compare("facenet128", cv2.dnn.readNetFromONNX(self.file("facenet128.onnx")), 127.5, 1 / 128, True)

    def test_facenet512(self):
        made_networks.facenet(self.file("facenet512.onnx"), 512)
        self.compare("facenet512", cv2.dnn.readNetFromONNX(self.file("facenet512.onnx")), 127.5, 1 / 128, True)

    def test_openface(self):
        made_networks.openface_torch(self.file("nn4.small2.v1.t7"))
        got = self.compare("openface", cv2.dnn.readNetFromTorch(self.file("nn4.small2.v1.t7")), 0, 1 / 255, True)
        self.assertLess(numpy.abs(numpy.linalg.norm(got, axis=1) - 1).max(), 1e-4)

    def test_openface_onnx(self):
        path = self.file("openface.nn4.small2.v1.onnx")
        made_networks.openface(path)
        got = self.compare("openface-onnx", cv2.dnn.readNetFromONNX(path), 0, 1 / 255, True)
        self.assertLess(numpy.abs(numpy.linalg.norm(got, axis=1) - 1).max(), 1e-4)

    def test_deepid(self):
        made_networks.deepid(self.file("deepid.onnx"))
        self.compare("deepid", cv2.dnn.readNetFromONNX(self.file("deepid.onnx")), 0, 1 / 255, False)

    def test_sface(self):
        path = self.file("face_recognition_sface_2021dec.onnx")
        made_networks.mobilefacenet(path, 128, "fc1")
        self.compare("sface", cv2.dnn.readNetFromONNX(path), 0, 1, True)

    def test_arcface_r50(self):
        made_networks.arcface(self.file("w600k_r50.onnx"), (3, 4, 14, 3), "683")
        self.compare("arcface-w600k", cv2.dnn.readNetFromONNX(self.file("w600k_r50.onnx")), 127.5, 1 / 127.5, True, 6)

    def test_arcface_r100(self):
        self.slow()
        made_networks.arcface(self.file("glintr100.onnx"), (3, 13, 30, 3), "1333")
        self.compare("arcface-glintr100", cv2.dnn.readNetFromONNX(self.file("glintr100.onnx")), 127.5, 1 / 127.5, True, 4)

    def test_deepface(self):
        self.slow()
        made_networks.deepface(self.file("deepface.onnx"))
        self.compare("deepface", cv2.dnn.readNetFromONNX(self.file("deepface.onnx")), 0, 1 / 255, False, 4)

    def test_vgg_face(self):
        self.slow()
        graph, weights = self.file("VGG_FACE_deploy.prototxt"), self.file("VGG_FACE.caffemodel")
        with open(graph, "w", encoding="utf-8") as file:
            file.write(made_networks.vgg_face_prototxt())
        run(sys.executable, os.path.join(ROOT, "tests/support/caffemodel_writer.py"), "--prototxt", graph, "--out", weights)
        net = cv2.dnn.readNetFromCaffe(graph, weights)
        got = self.compare("vgg-face", net, (93.594, 104.7624, 129.1863), 1, False, 4)
        self.assertGreater((got > 0).mean(), 0.1)  # fc7 after its ReLU

    def test_mobilefacenet_with_true_weights(self):
        listed = json.loads(run("spherectl", "models", "list", "--json"))["models"]
        model = next(m for m in listed if m["name"] == "mobilefacenet")
        if not model["installed"]:
            self.skipTest("mobilefacenet's files are not here; its descriptor says where they are")
        weights, graph = (f["path"] for f in model["files"])
        pictures = crops(112, 112)[:50]
        wanted = reference(cv2.dnn.readNetFromCaffe(graph, weights), pictures, 127.5, 1 / 128, True, "fc1_scale")
        got = ours("mobilefacenet", "none", pictures, self.folder)
        error = numpy.linalg.norm(got - wanted, axis=1) / numpy.linalg.norm(wanted, axis=1)
        self.assertLess(error.max(), TOLERANCE)

    def example(self, name):
        """An example of docs/models.md, as it stands there, at most ten lines; and its path."""
        with open(os.path.join(ROOT, "docs/models.md"), encoding="utf-8") as file:
            text = file.read()
        block = next(b.split("```")[0] for b in text.split("```json\n")[1:] if f'"name": "{name}"' in b)
        self.assertLessEqual(len(block.strip().splitlines()), 10)
        with open(self.file(name + ".json"), "w", encoding="utf-8") as file:
            file.write(block)
        return self.file(name + ".json")

    def works(self, name, net, size, output, swap):
        """By path and by name: crops as cv2.dnn has them, and a whole picture through spherectl."""
        path = self.example(name)
        pictures = crops(*size)[:8]
        got = ours(path, "none", pictures, self.folder)
        wanted = reference(net, pictures, 127.5, 1 / 128, swap, output)
        self.assertLess(numpy.abs(got - wanted).max() / numpy.abs(wanted).max(), TOLERANCE)
        env = {**os.environ, "SPHERE_MODEL_PATH": self.folder + ":" + os.environ.get("SPHERE_MODEL_PATH", "")}
        cv2.imwrite(self.file("a.png"), pictures[0])
        done = subprocess.run(["spherectl", "represent", "--json", "--detector", "fake-detect", "--model", name,
                               self.file("a.png")], env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["dims"], 512)
        done = subprocess.run(["spherectl", "verify", "--json", "--detector", "fake-detect", "--model", name,
                               self.file("a.png"), self.file("a.png")], env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertAlmostEqual(json.loads(done.stdout)["threshold"], {"mine": 0.6, "mine-caffe": 0.7}[name], places=5)

    def test_ten_lines_for_an_onnx_network_of_ones_own(self):
        made_networks.mobilefacenet(self.file("mine.onnx"), 512, "output")
        self.works("mine", cv2.dnn.readNetFromONNX(self.file("mine.onnx")), (112, 112), None, True)

    def test_ten_lines_for_a_caffe_network_of_ones_own(self):
        graph, weights = self.file("mine.prototxt"), self.file("mine.caffemodel")
        writer = os.path.join(ROOT, "tests/support/caffemodel_writer.py")
        run(sys.executable, writer, "--make-prototxt", graph)
        run(sys.executable, writer, "--prototxt", graph, "--out", weights)
        self.works("mine-caffe", cv2.dnn.readNetFromCaffe(graph, weights), (96, 112), "fc5", False)


if __name__ == "__main__":
    unittest.main(verbosity=2)
