#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl with the fake models: exit codes, the shapes of its JSON, what it says of bad input."""
import os
import stat
import struct
import tempfile
import unittest

from cli_support import FAKE, run, run_json, write_picture


class Spherectl(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.picture = self.path("a.ppm")
        write_picture(self.picture)
        self.other = self.path("b.ppm")
        write_picture(self.other, shade=2)
        self.tiny = self.path("tiny.ppm")  # the fake detector finds nothing below 8 px
        write_picture(self.tiny, 4, 4)
        self.gallery = self.path("people.db")

    def path(self, name):
        return os.path.join(self.folder, name)

    def refused(self, *arguments, says=(), code=2):
        done = run(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)
        return done

    def enrol(self):
        self.assertEqual(run("enrol", "--gallery", self.gallery, "--id", "ada", self.picture, *FAKE).returncode, 0)

    # Use

    def test_help_and_version(self):
        for arguments in (["--help"], ["--version"], *([c, "--help"] for c in (
                "models", "detect", "represent", "verify", "enrol", "find", "gallery", "eval"))):
            done = run(*arguments)
            self.assertEqual(done.returncode, 0, arguments)
            self.assertTrue(done.stdout.strip(), arguments)

    def test_bad_use(self):
        self.refused(says=["--help"])
        self.refused("frobnicate", says=["frobnicate"])
        self.refused("detect", "--detecter", "x", self.picture, says=["--detecter", "--detector"])
        self.refused("detect", says=["spherectl"])
        self.refused("detect", self.picture, "--threads", "many", says=["--threads"])
        self.refused("verify", self.picture, *FAKE)

    # detect

    def test_detect(self):
        code, document = run_json("detect", self.picture, self.tiny, "--detector", "fake-detect")
        self.assertEqual(code, 0)
        first, second = document["images"]
        self.assertEqual((first["path"], first["width"], first["height"]), (self.picture, 64, 48))
        face, = first["faces"]
        self.assertEqual(face["box"], [20, 12, 24, 24])
        self.assertEqual(len(face["landmarks"]), 5)
        self.assertTrue(0 <= face["score"] <= 1)
        self.assertEqual(second["faces"], [])
        code, document = run_json("detect", self.picture, "--detector", "fake-detect", "--threshold", "0.95")
        self.assertEqual((code, document["images"][0]["faces"]), (0, []))

    def test_a_bad_picture_does_not_stop_the_others(self):
        text = self.path("text.jpg")
        with open(text, "w", encoding="utf-8") as file:
            file.write("this is not a picture")
        done = run("detect", text, self.path("missing.png"), self.folder, self.picture, "--json",
                   "--detector", "fake-detect")
        self.assertEqual(done.returncode, 2)
        for name in (text, "missing.png", self.folder):
            self.assertIn(name, done.stderr)
        self.assertIn(self.picture, done.stdout)

    # represent

    def test_represent(self):
        rows = self.path("rows.npy")
        code, document = run_json("represent", self.picture, self.other, "--npy", rows, *FAKE)
        self.assertEqual(code, 0)
        embedding = document["images"][0]["faces"][0]["embedding"]
        self.assertEqual((embedding["model"], embedding["dims"], len(embedding["data"])), ("fake-embed", 128, 128))
        with open(rows, "rb") as file:
            content = file.read()
        self.assertEqual(content[:6], b"\x93NUMPY")
        self.assertIn(b"(2, 128)", content[:128])
        numbers = struct.unpack("<256f", content[-1024:])
        self.assertEqual([round(n, 4) for n in numbers[:128]], [round(n, 4) for n in embedding["data"]])
        with open(rows + ".tsv", encoding="utf-8") as file:
            lines = [line.split("\t") for line in file.read().splitlines()]
        self.assertIn(self.other, lines[-1][0])

    def test_represent_flip_doubles(self):
        _, document = run_json("represent", self.picture, "--flip", "concat", *FAKE)
        self.assertEqual(len(document["images"][0]["faces"][0]["embedding"]["data"]), 256)

    def test_represent_without_a_face(self):
        self.refused("represent", self.tiny, *FAKE, says=[self.tiny])

    # verify

    def test_verify(self):
        code, document = run_json("verify", self.picture, self.picture, *FAKE)
        self.assertEqual((code, document["same"]), (0, True))
        self.assertAlmostEqual(document["distance"], 0, places=5)
        self.assertEqual({"same", "distance", "metric", "threshold", "model"} - set(document), set())
        code, document = run_json("verify", self.picture, self.other, *FAKE, "--threshold", "0")
        self.assertEqual((code, document["same"]), (1, False))
        self.refused("verify", self.picture, self.tiny, *FAKE, says=[self.tiny])

    # galleries

    def test_enrol_find_list_remove(self):
        self.enrol()
        self.assertEqual(stat.S_IMODE(os.stat(self.gallery).st_mode), 0o600)
        code, document = run_json("find", "--gallery", self.gallery, self.picture, *FAKE)
        self.assertEqual(code, 0)
        face, = document["images"][0]["faces"]
        self.assertEqual((face["state"], face["known"], face["candidates"][0]["id"]), ("known", True, "ada"))
        self.assertAlmostEqual(face["candidates"][0]["similarity"], 1, places=5)
        self.assertIn("ada", run("gallery", "list", "--gallery", self.gallery).stdout)
        self.assertEqual(run("gallery", "remove", "--gallery", self.gallery, "ada").returncode, 0)
        code, document = run_json("find", "--gallery", self.gallery, self.picture, *FAKE)
        face, = document["images"][0]["faces"]
        self.assertEqual((code, face["state"], face["reason"]), (1, "unknown", "empty-gallery"))

    def test_enrol_a_folder(self):
        for i, person in enumerate(("ada", "bob")):
            os.makedirs(self.path(f"people/{person}"))
            write_picture(self.path(f"people/{person}/1.ppm"), shade=i)
        write_picture(self.path("people/bob/2.ppm"), 4, 4)  # no face: named, the others are done
        done = self.refused("enrol", "--gallery", self.gallery, self.path("people"), *FAKE, says=["2.ppm"])
        listed = run("gallery", "list", "--gallery", self.gallery).stdout
        self.assertIn("ada", listed)
        self.assertIn("bob", listed)
        self.assertIn("2", done.stdout)

    def test_empty_folder(self):
        os.makedirs(self.path("nobody"))
        self.refused("enrol", "--gallery", self.gallery, self.path("nobody"), *FAKE, says=["nobody"])

    def test_find_tells_why_not(self):
        self.refused("find", "--gallery", self.gallery, self.picture, *FAKE, says=["spherectl enrol"])
        with open(self.gallery, "w", encoding="utf-8") as file:
            file.write("this is not a gallery, whatever its name says")
        self.refused("find", "--gallery", self.gallery, self.picture, *FAKE, says=[self.gallery])
        self.refused("find", "--gallery", self.folder, self.picture, *FAKE, says=[self.folder])

    def test_another_model_is_refused(self):
        self.enrol()
        other = ["--detector", "fake-detect", "--model", "fake-embed-112"]
        self.refused("enrol", "--gallery", self.gallery, "--id", "bob", self.picture, *other,
                     says=["fake-embed"])

    # models

    def test_models(self):
        code, document = run_json("models", "list")
        self.assertEqual(code, 0)
        by_name = {m["name"]: m for m in document["models"]}
        self.assertTrue(by_name["fake-detect"]["installed"])
        self.assertEqual({"name", "task", "installed", "licence", "files"} - set(by_name["fr_feature"]), set())
        self.assertEqual(by_name["fr_feature"]["files"][0]["bytes"], 4884269)

    def test_missing_model(self):
        self.refused("detect", self.picture, "--detector", "nonesuch", says=["nonesuch", "models list"])
        self.refused("represent", self.picture, "--detector", "fake-detect", "--model", "sphereface20",
                     says=["sphereface_model.caffemodel", "spherectl models fetch sphereface20"])

    def test_corrupt_model(self):
        models = self.path("models")
        os.makedirs(models)
        with open(os.path.join(models, "fr_feature.onnx"), "wb") as file:
            file.write(bytes(4884269))
        environment = {"SPHERE_MODEL_PATH": models + ":" + os.environ["SPHERE_MODEL_PATH"],
                       "XDG_DATA_HOME": self.path("data")}
        done = run("represent", self.picture, "--detector", "fake-detect", "--model", "fr_feature",
                   env=environment)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("sha256", done.stderr)
        self.assertEqual(run("models", "check", env=environment).returncode, 1)

    def test_unwritable_output(self):
        self.refused("represent", self.picture, "--npy", "/no/such/folder/x.npy", *FAKE, says=["/no/such/folder"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
