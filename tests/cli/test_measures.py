#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""eval and calibrate with the fake models, against a recount by brute force from represent's embeddings."""
import itertools
import math
import os
import random
import tempfile
import unittest

import cv2
import numpy as np

from cli_support import FAKE, run, run_json

PEOPLE, PICTURES = 8, 4  # each person's pictures are numbered from 1


def distance(a, b, metric):
    if metric == "euclidean":
        return float(np.linalg.norm(a - b))
    return 1 - float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def accuracy(pairs, threshold):
    """pairs: (distance, or None of a failed picture; same)"""
    return sum(d is not None and (d <= threshold) == same for d, same in pairs) / len(pairs)


def best_accuracy(pairs):
    return max(accuracy(pairs, t) for t in [-1.0] + [d for d, _ in pairs if d is not None])


def area_under_roc(pairs):
    # Failed pairs are wrong whatever the threshold.
    near = [math.inf if d is None else d for d, same in pairs if same]
    far = [-math.inf if d is None else d for d, same in pairs if not same]
    return np.mean([(a < b) + 0.5 * (a == b and math.isfinite(a)) for a, b in itertools.product(near, far)])


def true_accepts(pairs, rate):
    same = [d for d, s in pairs if s]
    different = [-1 if d is None else d for d, s in pairs if not s]
    best = 0.0
    for t in [-0.5] + [d for d, _ in pairs if d is not None]:
        if sum(d <= t for d in different) <= rate * len(different):
            best = max(best, sum(d is not None and d <= t for d in same) / len(same))
    return best


def entropy(labels):
    p = sum(labels) / len(labels)
    return 0.0 if p in (0, 1) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def gain_ratio_split(pairs):
    """(threshold, gain, gain ratio) of C4.5 among the splits of at least the mean gain"""
    distances = sorted({d for d, _ in pairs})
    splits = []
    for low, high in zip(distances, distances[1:]):
        t = (low + high) / 2
        left, right = [s for d, s in pairs if d <= t], [s for d, s in pairs if d > t]
        gain = entropy([s for _, s in pairs]) - (
            len(left) * entropy(left) + len(right) * entropy(right)) / len(pairs)
        splits.append((t, gain, gain / entropy([True] * len(left) + [False] * len(right))))
    mean = sum(gain for _, gain, _ in splits) / len(splits)
    return max((s for s in splits if s[1] >= mean), key=lambda s: s[2])


class Measures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        noise = np.random.default_rng(7)
        cls.names = []
        for person in range(PEOPLE):
            name = f"Person_{person}"
            os.makedirs(cls.path(name))
            base = noise.integers(60, 200, (6, 6, 3))
            for number in range(1, PICTURES + 1):
                # So much of each picture's own that same and different overlap.
                own = np.clip(base + noise.normal(0, 45, base.shape), 0, 255).astype(np.uint8)
                cls.names.append(f"{name}/{name}_{number:04d}.png")
                cv2.imwrite(cls.path(cls.names[-1]), cv2.resize(own, (72, 64), interpolation=cv2.INTER_CUBIC))
        os.makedirs(cls.path("Nobody"))
        cv2.imwrite(cls.path("Nobody/Nobody_0001.png"), np.zeros((4, 4, 3), np.uint8))  # no face in 4 px
        _, document = run_json("represent", *[cls.path(n) for n in cls.names], *FAKE)
        cls.embeddings = {os.path.relpath(i["path"], cls.folder): np.array(i["faces"][0]["embedding"]["data"])
                          for i in document["images"]}
        cls.chance = random.Random(3)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return self.path(name)

    def lfw_list(self, folds=3, pairs=10, with_nobody=True):
        """(file, pairs as (name, name, same, fold))"""
        lines, listed = [f"{folds}\t{pairs}"], []
        number = lambda: self.chance.randint(1, PICTURES)  # noqa: E731
        for fold in range(folds):
            for _ in range(pairs):
                who = self.chance.randrange(PEOPLE)
                i, j = self.chance.sample(range(1, PICTURES + 1), 2)
                lines.append(f"Person_{who}\t{i}\t{j}")
                listed.append((self.name(who, i), self.name(who, j), True, fold))
            for n in range(pairs):
                a, b = self.chance.sample(range(PEOPLE), 2)
                i, j = number(), number()
                if with_nobody and fold == 1 and n == 0:
                    lines.append(f"Nobody\t1\tPerson_{b}\t{j}")
                    listed.append(("Nobody/Nobody_0001.png", self.name(b, j), False, fold))
                    continue
                lines.append(f"Person_{a}\t{i}\tPerson_{b}\t{j}")
                listed.append((self.name(a, i), self.name(b, j), False, fold))
        return self.write("pairs.txt", "\n".join(lines) + "\n"), listed

    @staticmethod
    def name(person, number):
        return f"Person_{person}/Person_{person}_{number:04d}.png"

    def measured(self, listed, metric="cosine"):
        def one(a, b):
            if a not in self.embeddings or b not in self.embeddings:
                return None
            return distance(self.embeddings[a], self.embeddings[b], metric)
        return [(one(a, b), same) for a, b, same, _ in listed]

    def evaluate(self, file, *options, code=0):
        returned, document = run_json("eval", "--pairs", file, "--images", self.folder, *FAKE, *options)
        self.assertEqual(returned, code)
        return document

    def test_lfw_protocol(self):
        for metric in ("cosine", "euclidean"):
            with self.subTest(metric):
                file, listed = self.lfw_list()
                pairs = self.measured(listed, metric)
                document = self.evaluate(file, "--metric", metric)
                self.assertEqual((document["pairs"], document["folds"], document["metric"]), (60, 3, metric))
                self.assertEqual(document["failed_images"], [self.path("Nobody/Nobody_0001.png")])
                folds = []
                for fold, result in enumerate(document["fold_results"]):
                    judged = [p for p, (*_, f) in zip(pairs, listed) if f == fold]
                    others = [p for p, (*_, f) in zip(pairs, listed) if f != fold]
                    # Several thresholds may be the best; ours must be one of them.
                    self.assertEqual(accuracy(others, result["threshold"]), best_accuracy(others))
                    folds.append(accuracy(judged, result["threshold"]))
                    self.assertAlmostEqual(result["accuracy"], folds[-1], places=12)
                self.assertTrue(0.55 < np.mean(folds) < 0.99, f"the made pictures are no test: {folds}")
                self.assertAlmostEqual(document["accuracy"], np.mean(folds), places=12)
                self.assertAlmostEqual(document["accuracy_se"], np.std(folds, ddof=1) / math.sqrt(3), places=12)
                self.assertAlmostEqual(document["auc"], area_under_roc(pairs), places=9)
                # One failed different pair of 30 is a false accept: more than either rate allows.
                self.assertEqual(document["tar_at_far"], {"0.01": 0.0, "0.001": 0.0})

    def test_true_accepts(self):
        file, listed = self.lfw_list(folds=2, pairs=110, with_nobody=False)
        pairs = self.measured(listed)
        document = self.evaluate(file)
        self.assertEqual(document["failed_images"], [])
        for rate in ("0.01", "0.001"):  # 2 and none of 220
            self.assertAlmostEqual(document["tar_at_far"][rate], true_accepts(pairs, float(rate)), places=12)
        self.assertGreater(document["tar_at_far"]["0.01"], document["tar_at_far"]["0.001"])

    def csv_list(self, listed):
        rows = ["file_x,note,file_y,Decision"]
        rows += [f'a/b/{a},"x, ""y""",{b},{"Yes" if same else "no"}' for a, b, same, _ in listed]
        return self.write("pairs.csv", "\r\n".join(rows) + "\r\n")

    def test_csv_of_one_fold(self):
        _, listed = self.lfw_list(folds=1, pairs=20, with_nobody=False)
        flat = [(os.path.basename(a), os.path.basename(b), same, 0) for a, b, same, _ in listed]
        for name in self.names:  # base names are accepted where the column has paths
            link = self.path(os.path.basename(name))
            if not os.path.exists(link):
                os.symlink(self.path(name), link)
        file = self.csv_list(flat)
        pairs = self.measured(listed)
        document = self.evaluate(file)
        best = best_accuracy(pairs)
        self.assertEqual((document["pairs"], document["folds"]), (40, 1))
        self.assertAlmostEqual(document["accuracy"], best, places=12)
        self.assertAlmostEqual(document["accuracy_se"], math.sqrt(best * (1 - best) / 40), places=12)
        text = run("eval", "--pairs", file, "--images", self.folder, *FAKE).stdout
        self.assertIn("the best on these same pairs", text)
        at = self.evaluate(file, "--threshold", "0.002")
        self.assertAlmostEqual(at["accuracy"], accuracy(pairs, 0.002), places=12)
        self.assertEqual(at["threshold"], 0.002)

    def test_calibrate(self):
        file, listed = self.lfw_list(folds=1, pairs=120, with_nobody=False)
        pairs = self.measured(listed)
        code, document = run_json("calibrate", "--pairs", file, "--images", self.folder, "--far", "0.05", *FAKE)
        self.assertEqual(code, 0)
        threshold, gain, ratio = gain_ratio_split(pairs)
        self.assertAlmostEqual(document["gain"], gain, places=9)
        self.assertAlmostEqual(document["gain_ratio"], ratio, places=9)
        self.assertAlmostEqual(document["threshold"], threshold, places=5)
        self.assertAlmostEqual(document["accuracy"], accuracy(pairs, threshold), places=12)
        far = document["far"]
        different = [d for d, same in pairs if not same]
        self.assertAlmostEqual(far["true_accept"], true_accepts(pairs, 0.05), places=12)
        self.assertAlmostEqual(far["false_accept"], np.mean([d <= far["threshold"] for d in different]), places=12)
        self.assertLessEqual(far["false_accept"], 0.05)

    def test_calibrate_needs_both_kinds(self):
        file = self.write("same.csv", f"file_x,file_y,decision\n{self.names[0]},{self.names[1]},Yes\n")
        done = run("calibrate", "--pairs", file, "--images", self.folder, *FAKE)
        self.assertEqual(done.returncode, 2)
        self.assertIn("different", done.stderr)

    def test_a_missing_picture_is_bad_input_and_the_rest_is_measured(self):
        file = self.write("gone.csv", f"file_x,file_y,decision\n{self.names[0]},{self.names[1]},Yes\n"
                                      f"{self.names[0]},gone.png,No\n")
        document = self.evaluate(file, code=2)
        self.assertEqual(document["failed_images"], [self.path("gone.png")])
        self.assertEqual(document["accuracy"], 0.5)

    def test_lists_that_are_wrong(self):
        a, b = self.names[:2]
        for text, says in (
                ("", "empty"),
                ("1\t2\nPerson_0\t1\t2\n", "the header says"),
                ("1\t1\nPerson_0\t1\t2\nPerson_0\t1\n", "line 3"),
                ("1\t1\nPerson_0\tone\t2\nPerson_0\t1\tPerson_1\t1\n", "line 2"),
                ("1\t1\nPerson_0\t1\t2\nPerson_0\t1\tPerson_1\t1\nPerson_0\t1\t2\n", "line 4"),
                (f"file_x,file_z,decision\n{a},{b},Yes\n", "file_y"),
                (f"file_x,file_y,decision\n{a},{b},Perhaps\n", "Perhaps"),
                (f"file_x,file_y,decision\n{a}\n", "line 2"),
                ("file_x,file_y,decision\n", "no pairs"),
                ("file_x,file_y,decision\ngone1.png,gone2.png,Yes\n", "--images")):
            with self.subTest(text):
                file = self.write("bad", text)
                done = run("eval", "--pairs", file, "--images", self.folder, *FAKE)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(says, done.stderr)
        for arguments, says in (
                (["--pairs", self.path("none.txt"), "--images", self.folder], "none.txt"),
                (["--pairs", self.folder, "--images", self.folder], self.folder),
                (["--pairs", file, "--images", self.path("none")], "--images"),
                (["--pairs", file], "--images"), (["--images", self.folder], "--pairs")):
            done = run("eval", *arguments, *FAKE)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
