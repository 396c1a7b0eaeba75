#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl analyze, and detect --compare: with the fake models, and with real ones on photographs where they are."""
import os
import struct
import tempfile
import unittest

from cli_support import DATA, need, run, run_json, write_picture

FAKE = ["--detector", "fake-detect", "--model", "fake-attribute"]


def png_size(path):
    with open(path, "rb") as file:
        return struct.unpack(">II", file.read(24)[16:])


class Fake(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.picture = os.path.join(self.folder.name, "a.ppm")
        write_picture(self.picture)

    def test_analyze_as_json(self):
        code, document = run_json("analyze", *FAKE, self.picture)
        self.assertEqual(code, 0)
        self.assertEqual(document["models"], ["fake-attribute"])
        face, = document["images"][0]["faces"]
        self.assertIn(face["attributes"]["mood"], ("fine", "poor"))
        self.assertEqual(sorted(face["attributes"]), ["mood", "mood_score"])
        _, document = run_json("analyze", *FAKE, "--scores", self.picture)
        scores = document["images"][0]["faces"][0]["attributes"]["mood_scores"]
        self.assertAlmostEqual(sum(scores.values()), 1, places=5)
        self.assertEqual(max(scores, key=scores.get), face["attributes"]["mood"])

    def test_analyze_as_text(self):
        done = run("analyze", *FAKE, self.picture)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"a\.ppm  face 0  box .*  mood (fine|poor) [01]\.\d\d\n")

    def test_wrong_use_names_the_remedy(self):
        for arguments, says in ((["analyze"], "no picture given"),
                                (["analyze", *FAKE[:3], "no-such", self.picture], "no-such"),
                                (["analyze", *FAKE[:3], "fake-detect", self.picture], "fake-detect"),
                                (["analyze", *FAKE, self.picture + "x"], self.picture + "x"),
                                (["detect", "--compare=x.png"], "no picture given"),
                                (["detect", "--compare", self.folder.name + "/x.gif", "--detector", "fake-detect",
                                  self.picture], "x.gif"),
                                (["detect", "--compare", self.folder.name + "/x.png", "--detector", "no-such",
                                  self.picture], "no-such")):
            with self.subTest(arguments):
                done = run(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(says, done.stderr)

    def test_compare_draws_a_tile_a_detector(self):
        sheet = os.path.join(self.folder.name, "sheet.png")
        code, document = run_json("detect", "--compare", sheet, "--detector", "fake-detect,fake-detect", self.picture,
                                  self.picture)
        self.assertEqual(code, 0)
        self.assertEqual([r["faces"] for r in document["compared"]], [1, 1, 1, 1])
        self.assertEqual(document["sheet"], sheet)
        self.assertEqual(png_size(sheet), (4 * 480, 360 + 22))


class Real(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("photos", models=("yunet-640", "ultralight", "fr_age", "fr_gender", "fr_pose", "fr_eye", "fr_liveness",
                               "fr_expression"))

    def test_attributes_make_sense(self):
        photos = [os.path.join(DATA, "photos/face_recognition", n) for n in ("obama-720p.jpg", "two_people.jpg")]
        code, document = run_json("analyze", *photos)
        self.assertEqual(code, 0)
        faces = [face["attributes"] for image in document["images"] for face in image["faces"]]
        self.assertEqual(len(faces), 3)
        for face in faces:  # grown men who face the camera, one laughing
            self.assertEqual(face["gender"], "male")
            self.assertTrue(25 < face["age"] < 95, face)
            self.assertTrue(face["live"])
            self.assertLess(abs(face["yaw"]), 30)
            self.assertEqual((face["left_eye"], face["right_eye"]), ("open", "open"))
        self.assertEqual(faces[0]["emotion"], "happy")

    def test_compare_takes_all_that_are_installed(self):
        with tempfile.TemporaryDirectory() as folder:
            sheet = os.path.join(folder, "sheet.jpg")
            code, document = run_json("detect", "--compare", sheet, os.path.join(DATA, "photos/compreface/000_5.jpg"))
            self.assertEqual(code, 0)
            faces = {row["detector"]: row["faces"] for row in document["compared"]}
            self.assertEqual((faces["yunet-640"], faces["ultralight"]), (5, 5))
            self.assertNotIn("fake-detect", faces)
            self.assertGreater(os.path.getsize(sheet), 20000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
