#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reading and splitting of training crops, and packing: what needs no PyTorch."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import numpy

from training_support import ROOT, made_set

import curves  # noqa: E402
import data  # noqa: E402
import pack  # noqa: E402

SHARED = os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared")


class Folder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def at(self, *names):
        return os.path.join(self.folder, *names)


class Crops(Folder):
    def test_decoded_once_and_in_the_order_of_the_index(self):
        pictures = made_set(self.at("data"))
        index = data.read_index(self.at("data"))
        os.mkdir(self.at("work"))
        crops = data.load_crops(self.at("data"), self.at("work"), index)
        self.assertEqual(crops.shape, (len(pictures), 112, 112, 3))
        whole = [i for i in range(len(pictures)) if index["coverage"][i] == 1]
        for i in whole:
            self.assertLess(numpy.abs(crops[i].astype(int) - pictures[i]).mean(), 12)  # lossy
        self.assertEqual(len(os.listdir(self.at("work"))), 1)
        again = data.load_crops(self.at("data"), self.at("work"), index)
        self.assertTrue(numpy.array_equal(crops, again))
        few = data.read_index(self.at("data"), 5)
        self.assertEqual(len(data.load_crops(self.at("data"), self.at("work"), few, 5)), 5)

    def test_every_other_black_margin_is_filled(self):
        made_set(self.at("data"))
        index = data.read_index(self.at("data"))
        os.mkdir(self.at("work"))
        crops = data.load_crops(self.at("data"), self.at("work"), index)
        margins = [i for i in range(len(crops)) if index["coverage"][i] < 1]
        for i in margins:
            black = (crops[i][:, :18].max(axis=2) <= 10).mean()
            self.assertGreater(black, 0.9) if i % 2 else self.assertLess(black, 0.3)
        self.assertEqual({i % 2 for i in margins}, {0, 1})

    def test_a_missing_or_damaged_shard_is_named(self):
        made_set(self.at("data"))
        os.mkdir(self.at("work"))
        index = data.read_index(self.at("data"))
        with open(self.at("data", "crops-1.bin"), "r+b") as file:
            file.write(b"x" * 2000)
        with self.assertRaisesRegex(ValueError, "no picture"):
            data.load_crops(self.at("data"), self.at("work"), index)
        os.remove(self.at("data", "crops-1.bin"))
        with self.assertRaisesRegex(FileNotFoundError, "crops-1.bin"):
            data.load_crops(self.at("data"), self.at("work"), index)


class Splits(Folder):
    def split(self, people=60, **more):
        made_set(self.at("data"), people=people, **more)
        return data.Split(data.read_index(self.at("data")))

    def test_people_held_out_are_in_no_class(self):
        split = self.split()
        identity = split.index["identity"]
        held = set(identity[split.held]) - {-1}
        self.assertTrue(held)
        self.assertFalse(held & set(identity[split.train]))
        self.assertFalse(set(split.held) & set(split.train))
        self.assertEqual(len(split.held) + len(split.train), len(identity))
        self.assertTrue((split.label[split.held] == -1).all())

    def test_a_head_a_data_set(self):
        split = self.split()
        known = split.label >= 0
        self.assertEqual(split.classes, len(set(split.label[known])))
        for n in numpy.flatnonzero(known):
            self.assertEqual(split.class_head[split.label[n]], split.head[n])
        for label in range(split.classes):
            members = numpy.flatnonzero(split.label == label)
            self.assertEqual(len({(split.index["dataset"][n], split.index["identity"][n]) for n in members}), 1)

    def test_pairs_are_of_people_held_out(self):
        split = self.split(people=120, each=3)
        held, identity = set(split.held), split.index["identity"]
        self.assertEqual(split.same.sum() * 2, len(split.pairs))
        for (a, b), same in zip(split.pairs, split.same):
            self.assertTrue(a in held and b in held and a != b)
            self.assertEqual(identity[a] == identity[b], same)
            self.assertEqual(split.index["dataset"][a], split.index["dataset"][b])

    def test_a_label_that_the_teacher_doubts_is_dropped(self):
        split = self.split()
        random = numpy.random.default_rng(1)
        centres = random.normal(size=(split.classes, 512))
        rows = random.normal(size=(len(split.label), 2, 512)) * 0.3
        known = split.label >= 0
        rows[known] += centres[split.label[known], None]
        rows /= numpy.linalg.norm(rows, axis=2, keepdims=True)  # as the teacher's are kept
        wrong = numpy.flatnonzero(known)[5]
        rows[wrong] = random.normal(size=(2, 512)) / numpy.sqrt(512)
        self.assertEqual(split.drop_doubtful(rows.astype(numpy.float16)), 1)
        self.assertEqual(split.label[wrong], -1)

    def test_batches_go_through_all_crops_and_depend_on_seed_and_step_alone(self):
        train = numpy.arange(100, 147)
        seen = numpy.concatenate([data.batch_at(train, 4, step, 8) for step in range(47)])
        self.assertTrue((numpy.bincount(seen)[100:] == 8).all())
        self.assertTrue(numpy.array_equal(data.batch_at(train, 4, 30, 8), seen[240:248]))
        self.assertFalse(numpy.array_equal(data.batch_at(train, 5, 30, 8), seen[240:248]))
        self.assertEqual(len(data.batch_at(train, 1, 3, 1000)), 47)

    def test_the_true_index(self):
        folder = os.path.join(SHARED, "train")
        if not os.path.exists(os.path.join(folder, "index.tsv")):
            self.skipTest(f"no {folder} (set SPHERE_TEST_DATA)")
        index = data.read_index(folder)
        self.assertEqual(len(index["identity"]), 78992)
        split = data.Split(index)
        self.assertGreater(split.classes, 5000)
        self.assertGreater(len(split.pairs), 2000)
        self.assertLess(len(split.held) / len(index["identity"]), 0.05)
        few = data.read_index(folder, 40)
        with tempfile.TemporaryDirectory() as work:
            crops = data.load_crops(folder, work, few, 40)
            self.assertEqual(crops.shape, (40, 112, 112, 3))
            self.assertGreater(crops.std(), 20)


class Packing(Folder):
    def setUp(self):
        super().setUp()
        random = numpy.random.default_rng(2)
        self.contents = {"a.bin": random.bytes(2_500_000), "empty": b"", "b.bin": random.bytes(1_300_001)}
        for name, content in self.contents.items():
            with open(self.at(name), "wb") as file:
                file.write(content)
        self.pieces = pack.split([self.at(n) for n in self.contents], self.at("pieces"), 1_000_000)["pieces"]

    def run_join(self):
        return subprocess.run([sys.executable, os.path.join(ROOT, "models/training/pack.py"), "join", "--pieces", self.at("pieces"),
                               "--out", self.at("out")], capture_output=True, text=True, check=False)

    def test_there_and_back(self):
        self.assertEqual(len(self.pieces), 4)
        self.assertTrue(all(os.path.getsize(self.at("pieces", p["name"])) <= 1_000_000 for p in self.pieces))
        self.assertEqual(self.run_join().returncode, 0)
        for name, content in self.contents.items():
            with open(self.at("out", name), "rb") as file:
                self.assertEqual(file.read(), content)
        for piece in self.pieces:
            os.remove(self.at("pieces", piece["name"]))
        self.assertEqual(self.run_join().returncode, 0)  # all there already
        pack.split([self.at("b.bin")], self.at("pieces"), 500_000)
        with open(self.at("pieces", "piece-0007"), "wb"):
            pass
        pack.split([self.at("b.bin")], self.at("pieces"), 1_000_000)
        self.assertEqual(sorted(os.listdir(self.at("pieces"))), ["manifest.json", "piece-0001", "piece-0002"])

    def test_missing_and_damaged_pieces_are_named(self):
        os.remove(self.at("pieces", "piece-0002"))
        with open(self.at("pieces", "piece-0003"), "r+b") as file:
            file.write(b"?")
        done = self.run_join()
        self.assertEqual(done.returncode, 75)
        self.assertIn("piece-0002, piece-0003", done.stderr)
        self.assertEqual(os.listdir(self.at("out")), [])

    def test_a_manifest_cannot_name_a_file_elsewhere(self):
        path = self.at("pieces", "manifest.json")
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        manifest["files"][0]["name"] = "../evil"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(manifest, file)
        self.assertNotEqual(self.run_join().returncode, 0)
        self.assertFalse(os.path.exists(self.at("evil")))


class Curves(Folder):
    def test_every_row_is_drawn(self):
        with open(self.at("log.csv"), "w", encoding="utf-8") as file:
            file.write("step,distillation,held_out_distance\n" + "".join(f"{s},{1 / s},\n" for s in range(1, 9)) + "9,,0.5\n")
        curves.draw(self.at("log.csv"), self.at("log.svg"))
        with open(self.at("log.svg"), encoding="utf-8") as file:
            svg = file.read()
        lines = [line for line in svg.splitlines() if "polyline" in line]
        self.assertEqual(len(lines[0].split('"')[1].split()), 8)
        self.assertEqual(len(lines[1].split('"')[1].split()), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
