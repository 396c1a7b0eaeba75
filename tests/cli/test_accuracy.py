#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Verification accuracy on lfw-dev (1,200 pairs) with the default recogniser, and against a plain recount."""
import os
import unittest

from cli_support import DATA, need, run_json


class Accuracy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("lfw-dev", models=("fr_feature", "yunet-320", "ultralight"))

    def evaluate(self, detector):
        lfw = os.path.join(DATA, "lfw-dev")
        code, document = run_json("eval", "--pairs", os.path.join(lfw, "pairs-dev.txt"), "--images", lfw,
                                  "--detector", detector)
        self.assertEqual(code, 0)
        self.assertEqual((document["pairs"], document["folds"]), (1200, 2))
        self.assertEqual((document["detector"], document["model"]), (detector, "fr_feature"))
        print(f"{detector}: accuracy {document['accuracy']:.4f} ± {document['accuracy_se']:.4f}, AUC "
              f"{document['auc']:.5f}, TAR {document['tar_at_far']}, without a face {document['failed_images']}")
        return document

    def test_yunet_320(self):
        document = self.evaluate("yunet-320")
        self.assertEqual(document["failed_images"], [])
        self.assertGreaterEqual(document["accuracy"], 0.987)
        self.assertGreater(document["auc"], 0.99)

    def test_ultralight(self):
        self.assertGreaterEqual(self.evaluate("ultralight")["accuracy"], 0.98)


if __name__ == "__main__":
    unittest.main(verbosity=2)
