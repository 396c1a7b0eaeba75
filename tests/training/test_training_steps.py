#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Training itself, in a few steps on made crops: the teacher's reader, augmentation, losses, resuming, export.

Needs PyTorch (Debian: python3-torch); without it every test is skipped and says so.
"""
import math
import os
import sys
import tempfile
import unittest

import cv2
import numpy

from training_support import ROOT, made_set

WITHOUT_TORCH = "this machine has no PyTorch (Debian: apt install python3-torch)"
try:
    import torch
except ImportError:
    class Training(unittest.TestCase):
        @unittest.skip(WITHOUT_TORCH)
        def test_everything(self):
            pass

    unittest.main(verbosity=2)

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import onnx_writer  # noqa: E402
import augment  # noqa: E402
import export  # noqa: E402
import losses  # noqa: E402
import network  # noqa: E402
import teacher  # noqa: E402
import train  # noqa: E402

torch.set_num_threads(1)


def small_teacher(path):
    """A network of the teacher's operators and shapes, in two convolutions: fast."""
    net = onnx_writer.Network((3, 112, 112))
    x = net.conv("input", 16, 16, 16, 0)
    x = net.node("PRelu", [x, net.tensor(numpy.full((16, 1, 1), 0.25))], net.shapes[x])
    x = net.node("Add", [x, x], net.shapes[x])
    x = net.conv(x, 512, 7, 1, 0)
    net.node("Reshape", [x, net.tensor(numpy.array([1, 512], numpy.int64))], (512,), "output")
    net.write(path)


def true_teacher():
    """fr_feature.onnx where models are looked for, or None."""
    data_home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local/share")
    folders = os.environ.get("SPHERE_MODEL_PATH", "").split(":") + [os.path.join(data_home, "sphere/models")]
    return next((p for p in (os.path.join(f, "fr_feature.onnx") for f in folders if f) if os.path.exists(p)), None)


class Teacher(unittest.TestCase):
    def compare(self, path):
        net, ours = cv2.dnn.readNetFromONNX(path), teacher.load(path, "cpu")
        random = numpy.random.default_rng(4)
        crops = numpy.stack([cv2.resize(random.integers(0, 256, (9, 9, 3)).astype(numpy.uint8), (112, 112)) for _ in range(3)])
        wanted = []
        for crop in crops:
            net.setInput(cv2.dnn.blobFromImage(crop, 1 / 127.5, (112, 112), (127.5,) * 3, swapRB=True))
            wanted.append(net.forward().ravel().copy())
        with torch.no_grad():
            got = ours(teacher.input_of(torch.from_numpy(crops))).numpy()
        wanted = numpy.stack(wanted)
        self.assertEqual(got.shape, (3, 512))
        error = numpy.linalg.norm(got - wanted, axis=1) / numpy.linalg.norm(wanted, axis=1)
        self.assertLess(error.max(), 1e-4)
        other = numpy.linalg.norm(got - numpy.roll(wanted, 1, 0), axis=1) / numpy.linalg.norm(wanted, axis=1)
        self.assertGreater(numpy.median(other), 1e-2)

    def test_a_made_network_equals_opencv(self):
        with tempfile.TemporaryDirectory() as folder:
            small_teacher(os.path.join(folder, "t.onnx"))
            self.compare(os.path.join(folder, "t.onnx"))

    def test_fr_feature_equals_opencv(self):
        path = true_teacher()
        if path is None:
            self.skipTest("fr_feature.onnx is not installed (spherectl models fetch fr_feature)")
        teacher.check_is_fr_feature(path)
        self.compare(path)

    def test_an_unknown_operator_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            net = onnx_writer.Network((3, 112, 112))
            net.node("Einsum", ["input"], (3, 112, 112))
            net.write(os.path.join(folder, "t.onnx"))
            with self.assertRaisesRegex(ValueError, "Einsum"):
                teacher.load(os.path.join(folder, "t.onnx"), "cpu")


class Augmentation(unittest.TestCase):
    def setUp(self):
        random = numpy.random.default_rng(8)
        self.crops = torch.from_numpy(numpy.stack([cv2.resize(random.integers(0, 256, (14, 14, 3)).astype(numpy.uint8), (112, 112))
                                                   for _ in range(12)]))
        self.mirror = torch.arange(12) % 2 == 0

    def views(self, seed, **more):
        augmenter, generator = augment.Augmenter("cpu", **more), torch.Generator().manual_seed(seed)
        return augmenter.spoil(augmenter.move(self.crops, self.mirror, generator), generator)

    def test_the_seed_alone_decides(self):
        first = self.views(3)
        self.assertTrue(torch.equal(first, self.views(3)))
        self.assertFalse(torch.equal(first, self.views(4)))
        self.assertEqual(tuple(first.shape), (12, 3, 112, 112))
        self.assertTrue(((first >= 0) & (first <= 255)).all())

    def test_off_it_only_mirrors(self):
        plain = self.crops.permute(0, 3, 1, 2).float()
        wanted = torch.where(self.mirror[:, None, None, None], plain.flip(-1), plain)
        self.assertLess((self.views(3, geometry=0, camera=0) - wanted).abs().max(), 1e-3)

    def test_moved_crops_stay_near(self):
        """The face stays the face: most pixels move by little, none leaves a black edge."""
        moved = augment.Augmenter("cpu").move(self.crops, torch.zeros(12, dtype=torch.bool), torch.Generator().manual_seed(1))
        plain = self.crops.permute(0, 3, 1, 2).float()
        self.assertGreater((moved - plain).abs().mean(), 1)
        self.assertLess((moved - plain).abs().mean(), 30)
        self.assertGreater(moved[:, :, 0].mean(), 50)

    def test_jpeg_is_near_a_codecs(self):
        for quality in (25, 50, 90):
            mine = augment.Augmenter("cpu").jpeg(self.crops.permute(0, 3, 1, 2).float(), torch.full((12,), float(quality)))
            errors, kept = [], []
            for crop, view in zip(self.crops.numpy(), mine):
                coded = cv2.imdecode(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR).astype(float)
                view = view.permute(1, 2, 0).clamp(0, 255).numpy()
                errors.append(numpy.abs(view - coded).mean())
                kept.append(numpy.abs(crop - coded).mean())
            self.assertLess(numpy.mean(errors), numpy.mean(kept), quality)  # nearer to the codec's than that is to the crop
            self.assertLess(numpy.mean(errors), 8, quality)

    def test_the_students_window_is_columns_8_to_103(self):
        x = torch.arange(112.0).expand(1, 3, 112, 112)
        window = augment.student_input(x)
        self.assertEqual(tuple(window.shape), (1, 3, 112, 96))
        self.assertAlmostEqual(float(window[0, 0, 0, 0]), (8 - 127.5) / 128, places=6)
        self.assertAlmostEqual(float(window[0, 0, 0, -1]), (103 - 127.5) / 128, places=6)


class Losses(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(2)
        self.x, self.label = torch.randn(6, 512), torch.tensor([0, 1, 2, 3, 4, 0])
        self.heads = numpy.array([0, 0, 0, 1, 1])
        self.head = torch.from_numpy(self.heads)[self.label]

    def test_with_margin_1_it_is_softmax_over_ones_own_data_set(self):
        loss = losses.SphereFaceR(self.heads, m=1.0)
        cosine = torch.nn.functional.normalize(self.x, dim=1) @ torch.nn.functional.normalize(loss.weight, dim=1).T
        for i, value in enumerate(loss(self.x, self.label, self.head).tolist()):
            own = torch.from_numpy(self.heads) == self.head[i]
            logits = 30 * cosine[i][own]
            place = int(own[:self.label[i]].sum())
            self.assertAlmostEqual(value, float(torch.logsumexp(logits, 0) - logits[place]) / 30, places=5)

    def test_the_margin_falls_with_the_angle(self):
        """psi of the paper: 1 at 0, cos(m theta) up to pi / m, and on falling without a jump."""
        loss = losses.SphereFaceR(numpy.zeros(2, int), m=1.5)
        direction = torch.zeros(2, 512)
        direction[0, 0] = direction[1, 1] = 1
        loss.weight.data = direction
        angles = torch.linspace(0.95, math.pi - 0.02, 60)  # where float32 can tell
        x = torch.zeros(60, 512)
        x[:, 0], x[:, 2] = torch.cos(angles), torch.sin(angles)  # at 90 degrees to the other class
        value = loss(x, torch.zeros(60, dtype=torch.long), torch.zeros(60, dtype=torch.long)) * 30
        psi = (-torch.log(torch.exp(value.double()) - 1) / 30).float()  # the other logit is 0
        self.assertTrue((psi[1:] < psi[:-1]).all())
        before = angles < math.pi / 1.5
        self.assertLess((psi[before] - torch.cos(1.5 * angles[before])).abs().max(), 1e-2)
        self.assertLess((psi[1:] - psi[:-1]).abs().max(), 0.12)

    def test_distillation(self):
        self.assertLess(losses.distillation(self.x * 3, self.x).abs().max(), 1e-5)
        self.assertLess((losses.distillation(-self.x, self.x) - 2).abs().max(), 1e-5)


class Training(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        made_set(self.at("data"), people=24, each=3, strangers=12)
        small_teacher(self.at("t.onnx"))

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def trainer(self, run, *more, steps=4):
        return train.Trainer(train.parse(["--data", self.at("data"), "--teacher", self.at("t.onnx"), "--work", self.at("work"), "--run",
                                          self.at(run), "--steps", str(steps), "--batch", "3", "--device", "cpu", "--log-steps", "1",
                                          "--margin-start", "0.1", "--rate", "1e-3", *more]), lambda text: None)

    def test_resumed_is_as_uninterrupted_and_the_export_is_what_was_trained(self):
        whole = self.trainer("whole", steps=3)
        self.assertTrue(whole.run()["done"])
        broken = self.trainer("broken", steps=3)
        broken.train_step()
        broken.save()
        broken.train_step()  # lost: the machine is taken away
        resumed = self.trainer("broken", steps=3)
        self.assertEqual(resumed.step, 1)
        resumed.run()
        for name, value in whole.average.state_dict().items():
            self.assertTrue(torch.equal(value, resumed.average.state_dict()[name]), name)
        with open(self.at("whole", "log.csv"), encoding="utf-8") as file:
            self.assertEqual([line.split(",")[0] for line in file][:4], ["step", "1", "2", "3"])

        facts = export.of_state(self.at("whole", "state.pt"), self.at("export"))
        self.assertEqual(facts["step"], 3)
        self.assertNotIn("data", facts["options"])
        random = numpy.random.default_rng(3)
        crops = random.integers(0, 256, (3, 112, 112, 3)).astype(numpy.uint8)
        with torch.no_grad():
            wanted = whole.average(augment.student_input(torch.from_numpy(crops).permute(0, 3, 1, 2).float())).numpy()
        net = cv2.dnn.readNetFromCaffe(self.at("export", "sphereface20-sphere.prototxt"), self.at("export", "sphereface20-sphere.caffemodel"))
        for crop, row in zip(crops, wanted):
            net.setInput(cv2.dnn.blobFromImage(numpy.ascontiguousarray(crop[:, 8:104]), 1 / 128, None, (127.5,) * 3))
            self.assertLess(numpy.linalg.norm(net.forward("fc5").ravel() - row) / numpy.linalg.norm(row), 1e-3)

        whole.save_compact(self.at("compact.pt"))
        self.assertLess(os.path.getsize(self.at("compact.pt")), 60 << 20)
        elsewhere = self.trainer("elsewhere", "--from-compact", self.at("compact.pt"), steps=9)
        self.assertEqual(elsewhere.step, 3)
        difference = max(float((a - b).abs().max()) for a, b in zip(elsewhere.net.parameters(), whole.average.parameters()))
        self.assertLess(difference, 1e-2)  # half precision

    def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(self):
        trainer = self.trainer("nan")
        trainer.save()
        before = os.path.getmtime(self.at("nan", "state.pt"))
        with torch.no_grad():
            trainer.net.fc5.weight.fill_(float("nan"))
        with self.assertRaisesRegex(SystemExit, "loss"):
            trainer.run()
        with self.assertRaisesRegex(SystemExit, "finite"):
            trainer.save()
        self.assertEqual(os.path.getmtime(self.at("nan", "state.pt")), before)

    def test_the_schedule_ends_with_the_run(self):
        trainer = self.trainer("schedule", steps=100)
        rates = [trainer.rate(p / 100) for p in range(101)]
        self.assertAlmostEqual(max(rates), 1e-3)
        self.assertLess(rates[0], 1e-4)
        self.assertLess(rates[-1], 1e-5)
        self.assertEqual(rates.index(max(rates)), 4)
        trainer.options.minutes, trainer.seconds = 2, 90.0
        self.assertEqual(trainer.progress(), 0.75)  # whichever is further: time or steps


class Network(unittest.TestCase):
    def test_numbers_of_the_paper(self):
        net = network.SphereFace20()
        self.assertEqual(sum(isinstance(m, torch.nn.Conv2d) for m in net.modules()) + 1, 21)  # 20 convolutions and fc5
        with torch.no_grad():
            self.assertEqual(tuple(net.eval()(torch.zeros(2, 3, 112, 96)).shape), (2, 512))


if __name__ == "__main__":
    unittest.main(verbosity=2)
