#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The exported network is the trained one: batch-norm folded, in half and in single precision, in OpenCV and in ours.

The reference is a forward pass written here in numpy, with batch-norm where training has it and weights whose
batch-norm is no identity; it shares nothing with the folding but the names of the layers.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import cv2
import numpy

from training_support import ROOT

import architecture  # noqa: E402
import caffemodel_writer  # noqa: E402
import export  # noqa: E402

TOLERANCE = 1e-3
SHARED = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")


def pictures(count):
    random = numpy.random.default_rng(11)
    return numpy.stack([cv2.resize(random.integers(0, 256, (12, 10, 3)).astype(numpy.uint8), (96, 112),
                                   interpolation=cv2.INTER_CUBIC) for _ in range(count)])


def convolve(x, weights, stride):
    """3x3, padding 1, of [c, h, w]: nine products of matrices."""
    c, h, w = x.shape
    out_h, out_w = (h - 1) // stride + 1, (w - 1) // stride + 1
    padded = numpy.pad(x, ((0, 0), (1, 1), (1, 1)))
    total = numpy.zeros((len(weights), out_h * out_w), x.dtype)
    for i in range(3):
        for j in range(3):
            part = padded[:, i:i + (out_h - 1) * stride + 1:stride, j:j + (out_w - 1) * stride + 1:stride]
            total += weights[:, :, i, j] @ part.reshape(c, -1)
    return total.reshape(len(weights), out_h, out_w)


def trained_forward(state, picture):
    """The network as it is trained, in evaluation: convolution, batch-norm, PReLU, residual sums of arXiv 1704.08063."""
    def norm(x, name):
        shape = (-1,) + (1,) * (x.ndim - 1)
        gamma, beta, mean, variance = (state[f"{name}.{key}"].reshape(shape)
                                       for key in ("weight", "bias", "running_mean", "running_var"))
        return (x - mean) / numpy.sqrt(variance + 1e-5) * gamma + beta

    def block(x, name, stride):
        x = norm(convolve(x, state[f"conv{name}.weight"], stride), "norm" + name)
        return numpy.where(x > 0, x, x * state[f"relu{name}.weight"][:, None, None])

    x = ((picture.astype(numpy.float32) - 127.5) / 128).transpose(2, 0, 1)
    for stage, units in enumerate((1, 2, 4, 1), 1):
        x = block(x, f"{stage}_1", 2)
        for unit in range(units):
            x = x + block(block(x, f"{stage}_{2 * unit + 2}", 1), f"{stage}_{2 * unit + 3}", 1)
    return norm(state["fc5.weight"] @ x.ravel() + state["fc5.bias"], "norm5")


def opencv_forward(prototxt, weights, crops):
    net = cv2.dnn.readNetFromCaffe(prototxt, weights)
    rows = []
    for crop in crops:
        net.setInput(cv2.dnn.blobFromImage(crop, 1 / 128, (96, 112), (127.5,) * 3, swapRB=False))
        rows.append(net.forward("fc5").ravel().copy())
    return numpy.stack(rows)


def difference(a, b):
    return float((numpy.linalg.norm(a - b, axis=1) / numpy.linalg.norm(b, axis=1)).max())


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.holder.cleanup)
        cls.folder = cls.holder.name
        cls.state = architecture.random_state(5)
        cls.layers = architecture.fold(cls.state)
        cls.facts = export.export(cls.layers, cls.folder, {"step": 0})
        cls.crops = pictures(2)
        cls.trained = numpy.stack([trained_forward(cls.state, crop) for crop in cls.crops])

    def at(self, name):
        return os.path.join(self.folder, name)

    @property
    def graph(self):
        return self.at("sphereface20-sphere.prototxt")

    @property
    def half(self):
        return self.at("sphereface20-sphere.caffemodel")

    def test_folding_is_exact(self):
        path = self.at("unrounded.caffemodel")
        export.write_caffemodel(path, self.layers, half=False)
        got = opencv_forward(self.graph, path, self.crops)
        self.assertLess(difference(got, self.trained), 1e-5)
        self.assertGreater(difference(got, self.trained[::-1]), 0.05)  # another crop's is another

    def test_opencv_reads_the_shipped_file_and_agrees_with_training(self):
        got = opencv_forward(self.graph, self.half, self.crops)
        error = difference(got, self.trained)
        print(f"half precision against training: {error:.2e} of the norm")
        self.assertLess(error, TOLERANCE)

    def test_the_expanded_file_is_the_same_network(self):
        path = self.at("expanded.caffemodel")
        done = subprocess.run([sys.executable, os.path.join(ROOT, "models/training/export.py"), "--expand", self.half, "--out", path],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(numpy.array_equal(opencv_forward(self.graph, path, self.crops),
                                          opencv_forward(self.graph, self.half, self.crops)))
        for (name, kind, arrays), (wanted, _, blobs) in zip(caffemodel_writer.read_layers(path), self.layers):
            self.assertEqual((name, len(arrays)), (wanted, len(blobs)), kind)
            for a, b in zip(arrays, blobs):
                self.assertTrue(numpy.array_equal(a, b.astype(numpy.float16).astype(numpy.float32)))

    def test_size_and_provenance(self):
        self.assertLessEqual(os.path.getsize(self.half), 46_000_000)
        self.assertEqual(self.facts["parameters"], 22_670_656)
        self.assertLess(self.facts["largest_rounding"], 2 ** -11)
        with open(self.at("provenance.json"), encoding="utf-8") as file:
            provenance = json.load(file)
        for entry in provenance["files"]:
            self.assertEqual(entry["sha256"], export.sha256(self.at(entry["name"])))
            self.assertEqual(entry["bytes"], os.path.getsize(self.at(entry["name"])))

    def test_the_graph_is_the_official_one(self):
        official = os.path.join(SHARED, "models", "sphereface_deploy.prototxt")
        if not os.path.exists(official):
            self.skipTest(f"no {official} (set SPHERE_TEST_DATA)")
        self.assertTrue(numpy.array_equal(opencv_forward(official, self.half, self.crops),
                                          opencv_forward(self.graph, self.half, self.crops)))

    def test_what_does_not_fit_half_precision_is_refused(self):
        with self.assertRaisesRegex(ValueError, "fc5"):
            export.rounded([("fc5", "InnerProduct", [numpy.array([[1.0, 1e6]])])])

    def test_our_embedder_agrees_with_both_engines(self):
        """By the descriptor that goes with the weights."""
        tool = os.environ.get("SPHERE_TEST_EMBED")
        if not tool:
            self.skipTest("SPHERE_TEST_EMBED names no program: run by meson")
        import release
        path = release.write_descriptor(self.folder, self.facts, 0.5, "made weights")
        raw, out = self.at("crops.raw"), self.at("out.f32")
        self.crops.tofile(raw)
        reference = opencv_forward(self.graph, self.half, numpy.concatenate([self.crops, self.crops[:, :, ::-1]]))
        wanted = numpy.concatenate([reference[:2], reference[2:]], axis=1)  # flip=concat
        subprocess.run([tool, path, "concat", raw, out], check=True)
        self.assertLess(difference(numpy.fromfile(out, "<f4").reshape(2, 1024), wanted), 1e-4)
        if not shutil.which("spherectl"):
            return
        names = []
        for i, crop in enumerate(self.crops):
            names.append(self.at(f"crop{i}.png"))
            cv2.imwrite(names[-1], crop)
        rows = []
        for engine in ("opencv", "onednn"):
            npy = self.at(engine + ".npy")
            done = subprocess.run(["spherectl", "represent", "--detector", "fake-detect", "--model", path, "--engine", engine,
                                   "--precision", "fp32", "--npy", npy, *names], capture_output=True, text=True, check=False)
            if engine == "onednn" and "built without" in done.stderr:
                return
            self.assertEqual(done.returncode, 0, done.stderr)
            rows.append(numpy.load(npy))
        self.assertEqual(rows[0].shape, (2, 1024))
        self.assertLess(difference(rows[1], rows[0]), 1e-4)


class Release(unittest.TestCase):
    """Weights enter models/ only when they passed the bar."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder, self.models = os.path.join(holder.name, "made"), os.path.join(holder.name, "models")
        os.mkdir(self.models)
        facts = export.export([("fc5", "InnerProduct", [numpy.ones((2, 3)), numpy.zeros(2)])], self.folder, {})
        self.report = {**facts, "date": "2026-11-24", "detector": "yunet-320",
                       "lfw": {"pairs": 1200, "flip": "concat", "accuracy": 0.98}, "int8": {"pairs_lost": 2},
                       "calibration": {"pairs": 580, "same": 178, "accuracy": 0.99, "threshold": 0.55},
                       "at_threshold": {"true_accepts": 0.9, "false_accepts": 0.0}}

    def release(self):
        path = os.path.join(self.folder, "report.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.report, file)
        return subprocess.run([sys.executable, os.path.join(ROOT, "models/training/release.py"), "--model", self.folder, "--report", path,
                               "--models", self.models], capture_output=True, text=True, check=False)

    def refused(self, why):
        done = self.release()
        self.assertEqual(done.returncode, 1)
        self.assertIn(why, done.stderr)
        self.assertEqual(os.listdir(self.models), [])

    def test_at_the_bar_everything_is_written(self):
        done = self.release()
        self.assertEqual(done.returncode, 0, done.stderr)
        names = ["sphereface20-sphere" + end for end in (".caffemodel", ".json", ".prototxt")]
        self.assertEqual(sorted(os.listdir(self.models)), names)
        with open(os.path.join(self.models, names[1]), encoding="utf-8") as file:
            descriptor = json.load(file)
        self.assertTrue(descriptor["may_be_default"])
        self.assertEqual(descriptor["metrics"]["cosine"]["threshold"], 0.55)
        self.assertEqual(descriptor["files"][0]["sha256"], export.sha256(os.path.join(self.models, names[0])))

    def test_below_the_bar(self):
        self.report["lfw"]["accuracy"] = 0.9799
        self.refused("0.9799")

    def test_int8_that_loses_pairs_or_was_not_measured(self):
        self.report["int8"] = {"pairs_lost": 3}
        self.refused("3 pairs")
        self.report["int8"] = {"error": "no engine"}
        self.refused("not measured")

    def test_a_part_of_lfw_is_not_lfw(self):
        self.report["lfw"]["pairs"] = 20
        self.refused("whole")

    def test_a_report_of_other_weights(self):
        with open(os.path.join(self.folder, "sphereface20-sphere.caffemodel"), "ab") as file:
            file.write(b"!")
        self.refused("other weights")

    def test_no_untrained_descriptor_is_where_models_are_looked_for(self):
        path = os.path.join(ROOT, "models", "sphereface20-sphere.json")
        if os.path.exists(path):  # then its files are there, and it was measured
            with open(path, encoding="utf-8") as file:
                descriptor = json.load(file)
            for entry in descriptor["files"]:
                self.assertEqual(export.sha256(os.path.join(ROOT, "models", entry["name"])), entry["sha256"])
            self.assertIn("evaluate.py", descriptor["metrics"]["cosine"]["source"])
        else:
            self.assertFalse(os.path.exists(os.path.join(ROOT, "models", "sphereface20-sphere.caffemodel")))


class Measurements(unittest.TestCase):
    def test_groups_are_judged_by_one_threshold(self):
        import evaluate
        random = numpy.random.default_rng(6)

        class Net:  # an embedding that is the crop's first pixel
            def setInput(self, blob):
                self.value = round(float(blob[0, 0, 56, 48]) * 128 + 127.5)

            def forward(self, _):
                row = numpy.zeros(8, numpy.float32)
                row[self.value] = 1
                return row

        class Split:
            index = {"dataset": numpy.array([0, 0, 0, 0, 1, 1]), "datasets": ["a", "b"]}
            pairs = numpy.array([[0, 1], [2, 3], [0, 2], [4, 5]])
            same = numpy.array([True, True, False, False])

        crops = random.integers(0, 256, (6, 112, 112, 3)).astype(numpy.uint8)
        for i, value in enumerate((1, 1, 2, 3, 4, 4)):  # 2-3: the same person, missed; 4-5: two people, taken for one
            crops[i, 56, 56] = crops[i, 56, 55] = value
        found = evaluate.groups(Net(), crops, Split())
        self.assertEqual(found["a"], {"pairs": 3, "right": 2 / 3, "true_accepts": 0.5, "false_accepts": 0.0})
        self.assertEqual(found["b"], {"pairs": 1, "right": 0.0, "true_accepts": None, "false_accepts": 1.0})
        self.assertEqual(found["all"]["right"], 0.5)

    def test_all_pairs_of_deepface_unit(self):
        import evaluate
        unit = os.path.join(SHARED, "data", "deepface-unit")
        if not os.path.exists(unit):
            self.skipTest(f"no {unit} (set SPHERE_TEST_DATA)")
        with tempfile.TemporaryDirectory() as folder:
            evaluate.unit_pairs(unit, os.path.join(folder, "pairs.csv"))
            with open(os.path.join(folder, "pairs.csv"), encoding="utf-8") as file:
                rows = [line.strip().split(",") for line in file][1:]
        self.assertEqual(len(rows), 580)
        self.assertEqual(sum(row[2] == "Yes" for row in rows), 178)
        self.assertTrue(all(os.path.exists(os.path.join(unit, name)) for row in rows for name in row[:2]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
