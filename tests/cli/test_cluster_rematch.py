#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl cluster and rematch: photographs of known people grouped, a journal named again."""
import json
import os
import tempfile
import unittest

from cli_support import DATA, FAKE, need, run, run_json, write_picture

KNN = os.path.join(DATA, "photos", "face_recognition", "knn")


class Cluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("photos", models=("fr_feature", "yunet-640"))

    def test_photographs(self):
        for method in ("auto", "density"):
            with self.subTest(method):
                code, document = run_json("cluster", os.path.join(KNN, "train"), "--method", method)
                self.assertEqual(code, 0)
                groups = [{os.path.basename(os.path.dirname(f["path"])) for f in g["faces"]}
                          for g in document["groups"]]
                self.assertEqual(sorted(map(sorted, groups)), [["biden"], ["kit_harington"], ["obama"],
                                                               ["rose_leslie"]])
                self.assertEqual((document["faces"], document["ungrouped"]), (9, 1))  # one has a single picture

    def test_bad_use(self):
        for arguments, says in ((["cluster"], "folder"), (["cluster", "/no/such"], "/no/such"),
                                (["cluster", KNN, "--method", "magic"], "whispers")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(says, done.stderr)


class Rematch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.gallery = self.path("people.db")
        for shade, name in enumerate(("ada", "bob")):
            write_picture(self.path(name + ".ppm"), shade=shade)
        self.assertEqual(run("enrol", "--gallery", self.gallery, "--id", "ada", self.path("ada.ppm"),
                             *FAKE).returncode, 0)
        # A journal as spherepublish embeddings=true writes it, from a time when nobody was enrolled.
        faces = []
        for name in ("ada", "bob"):
            _, document = run_json("represent", self.path(name + ".ppm"), *FAKE)
            faces.append({"track": None, "box": [1, 2, 3, 4], "score": 0.9, "state": "unknown",
                          "reason": "empty-gallery", "match": None, "candidates": [],
                          "embedding": document["images"][0]["faces"][0]["embedding"]})
        faces.append({"box": [0, 0, 1, 1], "state": "unusable", "reason": "too-small", "match": None})
        self.journal = self.path("records.jsonl")
        with open(self.journal, "w", encoding="utf-8") as file:
            for pts in range(3):
                file.write(json.dumps({"schema": "sphere.frame/1", "stream": "cam1", "pts": pts,
                                       "faces": faces}) + "\n")
            file.write(json.dumps({"schema": "sphere.event/1", "event": "appeared"}) + "\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def rematch(self, *options):
        return run_json("rematch", "--gallery", self.gallery, self.journal, *options)

    def test_names_after_enrolment(self):
        out = self.path("out.jsonl")
        code, document = self.rematch("--threshold", "0.00001", "--output", out)
        self.assertEqual(code, 0)
        self.assertEqual((document["records"], document["faces"], document["without_embedding"]), (3, 9, 3))
        self.assertEqual(document["known"], {"ada": 3})
        with open(out, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        self.assertEqual(len(records), 4)
        first, second, third = records[0]["faces"]
        self.assertEqual((first["state"], first["reason"], first["match"]["id"]), ("known", None, "ada"))
        self.assertAlmostEqual(first["match"]["distance"], 0, 5)
        self.assertEqual((second["state"], second["reason"], second["match"]), ("unknown", "below-threshold", None))
        self.assertEqual(third["reason"], "too-small")  # as it was
        self.assertEqual(records[3], {"schema": "sphere.event/1", "event": "appeared"})
        # Again on its own output: nothing changes any more.
        code, again = run_json("rematch", "--gallery", self.gallery, out, "--threshold", "0.00001")
        self.assertEqual((again["changed"], again["known"]), (0, {"ada": 3}))

    def test_another_model_is_not_compared(self):
        with open(self.journal, encoding="utf-8") as file:
            text = file.read().replace("fake-embed", "other-model")
        with open(self.journal, "w", encoding="utf-8") as file:
            file.write(text)
        self.assertEqual(self.rematch()[1]["known"], {})

    def test_bad_input(self):
        with open(self.journal, "a", encoding="utf-8") as file:
            file.write("not json\n")
        done = run("rematch", "--gallery", self.gallery, self.journal)
        self.assertEqual(done.returncode, 2)
        self.assertIn("records.jsonl:5", done.stderr)
        self.assertEqual(run("rematch", "--gallery", self.gallery, self.path("none")).returncode, 2)
        self.assertEqual(run("rematch", "--gallery", self.path("none"), self.journal).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
