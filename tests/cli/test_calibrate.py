#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl calibrate on labelled photographs: C4.5 against an independent implementation, the plot, the rates."""
import csv
import math
import os
import tempfile
import unittest
import xml.etree.ElementTree as xml

from cli_support import DATA, need, run, run_json

UNIT = os.path.join(DATA, "deepface-unit")


def entropy(labels):
    """In bit, of a list of True and False."""
    if not labels:
        return 0.0
    result = 0.0
    for value in (True, False):
        share = labels.count(value) / len(labels)
        if share > 0:
            result -= share * math.log(share, 2)
    return result


def c45(samples):
    """Quinlan's split of one continuous attribute, from the book: (threshold range, gain, gain ratio).

    Every cut between two neighbouring values that differ; of those with at least the mean gain, the one of the
    highest gain ratio. `samples` are (distance, same).
    """
    samples = sorted(samples)
    whole = entropy([same for _, same in samples])
    cuts = []
    for i in range(1, len(samples)):
        if samples[i - 1][0] == samples[i][0]:
            continue
        left = [same for _, same in samples[:i]]
        right = [same for _, same in samples[i:]]
        p = i / len(samples)
        gain = whole - p * entropy(left) - (1 - p) * entropy(right)
        split_info = -p * math.log(p, 2) - (1 - p) * math.log(1 - p, 2)
        cuts.append((gain, gain / split_info, samples[i - 1][0], samples[i][0]))
    mean = sum(cut[0] for cut in cuts) / len(cuts)
    gain, ratio, low, high = max((c for c in cuts if c[0] >= mean), key=lambda c: c[1])
    return (low, high), gain, ratio


class Calibrate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("deepface-unit", models=("fr_feature", "yunet-640"))
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.runs = {}
        # fake-embed sees little more than brightness: its distances of same and different people overlap.
        cases = {"cosine": ["--metric", "cosine"], "euclidean": ["--metric", "euclidean"],
                 "fake": ["--metric", "cosine", "--model", "fake-embed"]}
        for metric, options in cases.items():
            files = [os.path.join(cls.folder.name, metric + suffix) for suffix in (".svg", ".csv")]
            cls.runs[metric] = (run_json(
                "calibrate", "--pairs", os.path.join(UNIT, "master.csv"), "--images", UNIT, *options,
                "--far", "0.01", "--plot", files[0], "--distances", files[1]), *files)

    def samples(self, metric):
        with open(self.runs[metric][2], encoding="utf-8") as file:
            return [(float(row["distance"]), row["decision"] == "Yes") for row in csv.DictReader(file)
                    if row["distance"]]

    def test_c45_is_c45(self):
        for metric in self.runs:
            with self.subTest(metric):
                (code, document), *_ = self.runs[metric]
                self.assertEqual(code, 0)
                samples = self.samples(metric)
                self.assertEqual(len(samples), document["pairs"])
                self.assertGreater(len(samples), 250)
                (low, high), gain, ratio = c45(samples)
                print(f"{metric}: threshold {document['threshold']:.6f} in [{low:.6f}, {high:.6f}], "
                      f"gain {gain:.6f}, gain ratio {ratio:.6f}")
                self.assertGreaterEqual(document["threshold"], low - 1e-8)
                self.assertLess(document["threshold"], high + 1e-8)
                self.assertAlmostEqual(document["gain"], gain, 9)
                self.assertAlmostEqual(document["gain_ratio"], ratio, 9)

    def test_overlapping_kinds_are_among_the_cases(self):
        (_, document), *_ = self.runs["fake"]
        self.assertLess(document["gain_ratio"], 0.9)
        self.assertLess(document["accuracy"], 1)

    def test_rates(self):
        for metric in self.runs:
            (_, document), *_ = self.runs[metric]
            samples = self.samples(metric)
            far = document["far"]
            for same, key in ((True, "true_accept"), (False, "false_accept")):
                kind = [d for d, s in samples if s == same]
                self.assertAlmostEqual(far[key], sum(d <= far["threshold"] + 1e-8 for d in kind) / len(kind), 6)
            self.assertLessEqual(far["false_accept"], 0.01)

    def test_the_pairs_are_those_of_the_list(self):
        with open(os.path.join(UNIT, "master.csv"), encoding="utf-8", newline="") as file:
            wanted = [(r["file_x"], r["file_y"], r["Decision"]) for r in csv.DictReader(file)]
        with open(self.runs["cosine"][2], encoding="utf-8") as file:
            got = [(os.path.basename(r["file_x"]), os.path.basename(r["file_y"]), r["decision"])
                   for r in csv.DictReader(file)]
        self.assertEqual(got, wanted)

    def test_the_plot(self):
        (_, document), svg, _ = self.runs["cosine"]
        root = xml.parse(svg).getroot()
        space = "{http://www.w3.org/2000/svg}"
        texts = [element.text for element in root.iter(space + "text")]
        for label in ("cosine distance", "share of the pairs of a kind", "false-accept rate (logarithmic)",
                      "true-accept rate", "same person", "different people",
                      f"C4.5: {document['threshold']:.4f}"):
            self.assertIn(label, texts)
        # The marked threshold is where it belongs: the first panel spans 430 px from 70.
        dashed = [float(e.get("x1")) for e in root.iter(space + "line") if e.get("stroke-dasharray")]
        self.assertEqual(len(dashed), 2)
        ticks = {e.text: float(e.get("x")) for e in root.iter(space + "text")
                 if e.get("text-anchor") == "middle" and e.text.replace(".", "", 1).isdigit() and
                 float(e.get("x")) <= 501}
        (a, xa), (b, xb) = sorted((float(k), v) for k, v in ticks.items())[::len(ticks) - 1]
        place = xa + (document["threshold"] - a) / (b - a) * (xb - xa)
        self.assertAlmostEqual(dashed[0], place, delta=0.1)

    def test_bad_outputs(self):
        done = run("calibrate", "--pairs", os.path.join(UNIT, "master.csv"), "--images", UNIT, "--plot", "x.pdf")
        self.assertEqual(done.returncode, 2)
        self.assertIn(".svg", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
