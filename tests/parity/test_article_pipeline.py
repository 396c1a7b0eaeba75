#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""pipelines/article.sh from pictures to plots and sheets: without the official weights it says so and uses what there is; with
files under their names (made here, so that the article's numbers cannot come out) it compares and says that they do not."""
import csv
import json
import os
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import cv2

from test_article import DATA, ROOT, made_model

IMAGES = os.path.join(DATA, "data/deepface-unit")


class ArticlePipeline(unittest.TestCase):
    def setUp(self):
        table = os.path.join(IMAGES, "master.csv")
        if not os.path.exists(table):
            self.skipTest(f"no pictures at {IMAGES} (set SPHERE_TEST_DATA)")
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        with open(table, encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        same = [r for r in rows if r[2] == "Yes"][:10]
        names = {n for r in same for n in r[:2]}
        self.rows = same + [r for r in rows if r[2] == "No" and set(r[:2]) <= names][:15]
        self.assertEqual(len(self.rows), 25)
        self.pairs = os.path.join(self.folder, "pairs.csv")
        with open(self.pairs, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *self.rows])

    def article(self, *arguments, path=""):
        env = {**os.environ, "SPHERE_MODEL_PATH": path + os.environ["SPHERE_MODEL_PATH"]}
        out = os.path.join(self.folder, "out")
        done = subprocess.run([os.path.join(ROOT, "pipelines/article.sh"), "--images", IMAGES, "--pairs", self.pairs, "--out", out,
                               *arguments], env=env, capture_output=True, text=True, check=False, timeout=500)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(out, "summary.txt"), encoding="utf-8") as file:
            self.assertIn(file.read(), done.stdout)
        for metric in ("cosine", "euclidean"):
            with open(os.path.join(out, metric + ".json"), encoding="utf-8") as file:
                result = json.load(file)
            with open(os.path.join(out, metric + ".csv"), encoding="utf-8") as file:
                distances = list(csv.DictReader(file))
            right = sum((float(r["distance"]) <= result["threshold"]) == (r["decision"].lower() == "yes") for r in distances)
            self.assertEqual(len(distances), result["pairs"])
            self.assertAlmostEqual(right / len(distances), result["accuracy"], places=6)
            xml.etree.ElementTree.parse(os.path.join(out, metric + ".svg"))
            sheet = cv2.imread(os.path.join(out, metric + ".jpg"))
            self.assertGreater(sheet.shape[0], 150)
            self.assertGreater(sheet.std(), 20)
        return done.stdout + done.stderr, result

    def test_without_the_official_weights(self):
        models = json.loads(subprocess.run(["spherectl", "models", "list", "--json"], check=True, capture_output=True,
                                           text=True).stdout)["models"]
        have = {m["name"] for m in models if m["installed"]}
        if "sphereface20-deepface" in have:
            self.skipTest("the official weights are here")
        if "fr_feature" not in have:
            self.skipTest("fr_feature is not fetched (spherectl models fetch fr_feature)")
        said, result = self.article()
        self.assertIn("its numbers cannot be repeated here", said)
        self.assertIn("no comparison", said)
        self.assertNotIn("repeated (within", said)
        self.assertEqual((result["model"], result["pairs"], result["accuracy"]), ("fr_feature", 25, 1.0))

    def test_with_files_under_the_official_names(self):
        made = os.path.join(self.folder, "made")
        os.mkdir(made)
        made_model(made)
        said, result = self.article(path=made + ":")
        self.assertEqual((result["model"], result["detector"]), ("sphereface20-deepface", "haar-deepface"))
        self.assertIn("the article's threshold 17.2122: NOT repeated", said)
        self.assertNotIn("no comparison", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
