#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl gallery: each action, what it prints, what it leaves in the files."""
import contextlib
import glob
import json
import os
import re
import sqlite3
import struct
import tempfile
import time
import unittest

from cli_support import FAKE, run, run_json, write_picture


def fake_vector(gallery, face):
    """The embedding as it lies in the file."""
    with sqlite3.connect(f"file:{gallery}?mode=ro", uri=True) as db:
        return db.execute("SELECT vector FROM embeddings WHERE face = ?", (face,)).fetchone()[0]


class Gallery(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.gallery = self.path("people.db")
        for shade, name in enumerate(("ada", "bob", "cyd", "dan")):
            write_picture(self.path(name + ".ppm"), shade=shade)
        for name in ("ada", "bob"):
            self.enrol(name, name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def enrol(self, person, picture, *options):
        code, document = run_json("enrol", "--gallery", self.gallery, "--id", person, self.path(picture + ".ppm"),
                                  *FAKE, *options)
        self.assertEqual(code, 0)
        return document

    def act(self, action, *arguments, code=0):
        got, document = run_json("gallery", action, "--gallery", self.gallery, *arguments)
        self.assertEqual(got, code, document)
        return document

    def refused(self, *arguments, says):
        done = run("gallery", *arguments, "--gallery", self.gallery)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(says, done.stderr)

    def people(self):
        return {p["id"]: p for p in self.act("list")["people"]}

    def bytes_of_all_files(self):
        content = b""
        for path in glob.glob(self.gallery + "*"):
            with open(path, "rb") as file:
                content += file.read()
        return content

    def test_show_and_set(self):
        self.act("set", "ada", "--label", "Ada L.", "--threshold", "0.25", "--attributes", '{"team": "night"}')
        person, = self.act("show", "ada")["people"]
        self.assertEqual((person["label"], person["threshold"], person["attributes"]),
                         ("Ada L.", 0.25, {"team": "night"}))
        face, = person["faces"]
        self.assertTrue(face["source"].endswith("ada.ppm"))
        self.assertFalse(face["quarantined"])
        self.act("set", "ada", "--common-threshold")
        self.assertIsNone(self.people()["ada"]["threshold"])
        self.assertEqual(self.people()["ada"]["label"], "Ada L.")
        self.refused("set", "ada", says="--label")
        self.refused("set", "ada", "--attributes", "[1]", says="JSON object")
        self.refused("set", "nobody", "--label", "x", says="nobody")
        self.refused("show", "nobody", says="nobody")
        text = run("gallery", "show", "--gallery", self.gallery, "ada").stdout
        self.assertIn("Ada L.", text)
        self.assertIn("face 1", text)

    def test_dry_run_changes_nothing(self):
        before = self.act("stats")["version"]
        for arguments in (["remove", "ada"], ["remove", "--face", "1"], ["rename", "ada", "eve"],
                          ["set", "ada", "--label", "E"], ["quarantine", "1"],
                          ["negative", "--ignore", self.path("cyd.ppm"), *FAKE]):
            document = self.act(*arguments, "--dry-run")
            self.assertTrue(document["dry_run"], arguments)
        self.assertEqual(self.act("stats")["version"], before)

    def test_dry_run_fails_where_the_run_would(self):
        for action in (("set", "nobody", "--label=x"), ("rename", "nobody", "eve"), ("rename", "ada", "bob"),
                       ("promote", "unknown-1", "eve"), ("quarantine", "99"), ("negative", "--remove=9"),
                       ("remove", "nobody")):
            self.refused(*action, "--dry-run", says=next(w for w in action[1:] if w != "ada").split("=")[-1])
        self.assertEqual(sorted(self.people()), ["ada", "bob"])

    def test_rename_and_merge(self):
        self.act("rename", "ada", "eve")
        self.assertEqual(set(self.people()), {"eve", "bob"})
        self.refused("rename", "eve", "bob", says="--merge")
        self.act("rename", "--merge", "eve", "bob")
        self.assertEqual(self.people()["bob"]["faces"], 2)
        self.assertEqual(set(self.people()), {"bob"})
        self.refused("rename", "eve", says="usage")

    def test_remove_really_removes(self):
        self.act("set", "ada", "--label", "A-LABEL-OF-ADA", "--attributes", '{"secret": "OF-ADA-ALONE"}')
        self.act("negative", "--id", "ada", self.path("cyd.ppm"), *FAKE)
        self.act("rename", "ada", "ada-by-another-name")
        traces = [fake_vector(self.gallery, 1)[:64], b"A-LABEL-OF-ADA", b"OF-ADA-ALONE", b"ada-by-another-name",
                  b"ada.ppm"]
        found = self.bytes_of_all_files()
        for trace in traces:  # the control: they are there before
            self.assertIn(trace, found)
        self.assertNotIn(b'"ada"', found)
        self.act("remove", "ada-by-another-name")
        left = self.bytes_of_all_files()
        for trace in traces:
            self.assertNotIn(trace, left)
        self.assertIn(b"bob.ppm", left)

    def test_remove_single_faces(self):
        self.enrol("ada", "cyd")
        vector = fake_vector(self.gallery, 3)
        self.assertIn(vector[:64], self.bytes_of_all_files())
        self.act("remove", "--face", "3")
        self.assertNotIn(vector[:64], self.bytes_of_all_files())
        self.assertEqual(self.people()["ada"]["faces"], 1)
        self.refused("remove", "--face", "99", says="99")
        self.refused("remove", "--face", "x", says="x")
        self.refused("remove", "ada", "nobody", says="nothing was changed")
        self.assertIn("ada", self.people())

    def test_enrolling_a_picture_twice(self):
        document = self.enrol("ada", "ada")
        self.assertEqual((document["faces"], len(document["skipped"])), (0, 1))
        self.assertEqual(self.people()["ada"]["faces"], 1)
        # Under another name it is enrolled, with a warning.
        done = run("enrol", "--gallery", self.gallery, "--id", "impostor", self.path("ada.ppm"), *FAKE)
        self.assertEqual(done.returncode, 0)
        self.assertIn("looks like ada", done.stderr)
        # In one go, too.
        done = run("enrol", "--gallery", self.path("new.db"), "--id", "ada", self.path("ada.ppm"),
                   self.path("ada.ppm"), *FAKE)
        self.assertIn("has this picture already", done.stderr)

    def test_negatives(self):
        find = lambda: run_json("find", "--gallery", self.gallery, self.path("ada.ppm"), "--margin", "0",  # noqa: E731
                                *FAKE)
        self.assertEqual(find()[1]["images"][0]["faces"][0]["state"], "known")
        self.act("negative", "--id", "ada", self.path("ada.ppm"), *FAKE)
        self.assertNotIn("ada", [c["id"] for c in find()[1]["images"][0]["faces"][0]["candidates"]])
        listed, = self.act("negative")["negatives"]
        self.assertEqual(listed["id"], "ada")
        self.act("negative", "--remove", str(listed["negative"]))
        self.assertEqual(find()[1]["images"][0]["faces"][0]["state"], "known")
        self.act("negative", "--ignore", self.path("ada.ppm"), *FAKE)
        face = find()[1]["images"][0]["faces"][0]
        self.assertEqual((face["state"], face["reason"]), ("unusable", "ignored"))
        self.refused("negative", self.path("ada.ppm"), says="--ignore")
        self.refused("negative", "--remove", "77", says="77")

    def test_quarantine(self):
        self.act("quarantine", "1")
        self.assertEqual([f["id"] for f in self.act("quarantine")["quarantine"]], ["ada"])
        _, document = run_json("find", "--gallery", self.gallery, self.path("ada.ppm"), *FAKE)
        self.assertNotIn("ada", [c["id"] for c in document["images"][0]["faces"][0]["candidates"]])
        self.act("quarantine", "--release", "1")
        self.assertEqual(self.act("quarantine")["quarantine"], [])

    def test_own_threshold_decides(self):
        find = lambda picture: run_json("find", "--gallery", self.gallery, self.path(picture), *FAKE,  # noqa: E731
                                        "--threshold", "2", "--margin", "0")
        first = find("cyd.ppm")[1]["images"][0]["faces"][0]["candidates"][0]
        self.assertEqual(find("cyd.ppm")[0], 0)
        self.assertGreater(first["distance"], 0)
        self.act("set", first["id"], "--threshold", str(first["distance"] / 2))
        self.assertEqual(find("cyd.ppm")[1]["images"][0]["faces"][0]["state"], "unknown")

    def test_check(self):
        kinds = lambda document: sorted({f["kind"] for f in document["findings"]})  # noqa: E731
        first = self.act("check", "--threshold", "0", "--metric", "cosine", code=1)
        self.assertEqual((first["unsafe"], first["strangers"]), (False, 2))
        self.assertEqual(kinds(first), ["unusable"])  # gradients are no good photographs, and nothing else is wrong
        # Whoever may be named: the suggestion keeps to what the model says of itself.
        loose = self.act("check", "--threshold", "1.9", "--metric", "cosine", "--far", "1", code=1)
        self.assertEqual((loose["unsafe"], loose["suggested_threshold"]), (False, 0.4))
        self.enrol("zoe", "ada")  # one face under two names
        found = self.act("check", "--margin", "0", code=1)
        self.assertIn("two-names", kinds(found))
        self.assertTrue(found["unsafe"])
        self.assertLess(found["suggested_threshold"], found["threshold"])
        self.enrol("ada", "dan")
        strict = ["check", "--threshold", "0.000001", "--metric", "cosine", "--quarantine"]
        found = self.act(*strict, "--dry-run", code=1)
        self.assertEqual(kinds(found), ["outlier", "two-names", "unusable"])
        self.assertEqual({f["face"] for f in found["findings"] if f["kind"] == "outlier"}, {1, 4})
        self.assertEqual(self.act("quarantine")["quarantine"], [])
        found = self.act(*strict, code=1)
        self.assertEqual({f["face"] for f in self.act("quarantine")["quarantine"]}, set(found["quarantined"]))
        self.assertEqual(set(found["quarantined"]), {1, 2, 3, 4})
        self.act("quarantine", "--release", "1", "2")
        self.assertIn("suggested", run("gallery", "check", "--gallery", self.gallery).stdout)

    def test_stats_and_audit(self):
        self.act("remove", "ada")
        stats = self.act("stats")
        self.assertEqual((stats["people"], stats["faces"], stats["stamp"]["model"]), (1, 1, "fake-embed"))
        self.assertEqual([e["action"] for e in stats["audit"]], ["remove", "enrol", "enrol"])
        self.assertTrue(all(e["user"] for e in stats["audit"]))
        self.assertTrue(re.fullmatch(r"person \d+", stats["audit"][0]["subject"]))
        self.assertEqual(len(self.act("stats", "--audit", "1")["audit"]), 1)

    def test_export_and_import(self):
        self.act("set", "ada", "--label", "Ada")
        out = self.path("out")
        self.assertEqual(self.act("export", out)["faces"], 2)
        with open(os.path.join(out, "manifest.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["format"], "sphere.gallery/1")
        with open(os.path.join(out, "embeddings.npy"), "rb") as file:
            values = struct.unpack("<256f", file.read()[-1024:])
        self.assertEqual(struct.pack("<128f", *values[:128]), fake_vector(self.gallery, 1))
        copy = self.path("copy.db")
        _, dry = run_json("gallery", "import", "--gallery", copy, out, "--dry-run")
        self.assertTrue(dry["dry_run"])
        self.assertFalse(os.path.exists(copy))
        code, document = run_json("gallery", "import", "--gallery", copy, out)
        self.assertEqual((code, document["faces"], document["people"]), (0, 2, 2))
        self.assertEqual(run_json("find", "--gallery", copy, self.path("ada.ppm"), *FAKE)[1], run_json(
            "find", "--gallery", self.gallery, self.path("ada.ppm"), *FAKE)[1])
        self.refused("import", out, says="--merge")
        with open(os.path.join(out, "people.jsonl"), "a", encoding="utf-8") as file:
            file.write("\n")
        self.refused("import", out, says="people.jsonl")
        self.refused("export", out, says="not empty")

    def test_reembed(self):
        other = ["--detector", "fake-detect", "--model", "fake-embed-112"]
        self.refused("re-embed", *other, says="thumbnail")
        fresh = self.path("fresh.db")
        for name in ("ada", "bob"):
            self.assertEqual(run("enrol", "--gallery", fresh, "--id", name, self.path(name + ".ppm"),
                                 "--keep-thumbnails", *FAKE).returncode, 0)
        before = run_json("gallery", "stats", "--gallery", fresh)[1]
        code, dry = run_json("gallery", "re-embed", "--gallery", fresh, *other, "--dry-run")
        self.assertEqual((code, dry["faces"]), (0, 2))
        self.assertEqual(run_json("gallery", "stats", "--gallery", fresh)[1], before)
        code, document = run_json("gallery", "re-embed", "--gallery", fresh, *other)
        self.assertEqual((code, document["faces"], document["lost"]), (0, 2, 0))
        self.assertEqual(run_json("gallery", "stats", "--gallery", fresh)[1]["stamp"]["model"], "fake-embed-112")
        code, document = run_json("find", "--gallery", fresh, self.path("ada.ppm"), *other)
        self.assertEqual(document["images"][0]["faces"][0]["candidates"][0]["id"], "ada")
        # And back, from thumbnails of the first template.
        self.assertEqual(run_json("gallery", "re-embed", "--gallery", fresh, *FAKE)[0], 0)
        code, document = run_json("find", "--gallery", fresh, self.path("ada.ppm"), *FAKE)
        self.assertEqual(document["images"][0]["faces"][0]["candidates"][0]["id"], "ada")
        self.assertLess(document["images"][0]["faces"][0]["candidates"][0]["distance"], 0.01)

    def test_strangers(self):
        self.assertEqual(self.act("list", "--strangers")["strangers"], [])
        self.refused("promote", "unknown-1", "eve", says="unknown-1")

    def test_strangers_expire(self):
        """As a pipeline would have kept them: bob's faces as those of three strangers."""
        self.enrol("eve", "cyd")
        self.enrol("fay", "dan")
        now_ms, day_ms = int(time.time() * 1000), 24 * 3600 * 1000
        with contextlib.closing(sqlite3.connect(self.gallery)) as db, db:
            for number, (person, days) in enumerate((("bob", 1), ("eve", 40), ("fay", 5)), 1):
                key = db.execute("SELECT person FROM people WHERE id = ?", (person,)).fetchone()[0]
                db.execute("UPDATE people SET id = ?, label = ?, stranger = ? WHERE person = ?",
                           (f"unknown-{number}", f"unknown-{number}", number, key))
                db.execute("INSERT INTO visits (person, camera, first_seen, last_seen) VALUES (?, 'door', 0, ?)",
                           (key, now_ms - days * day_ms))
        eve = fake_vector(self.gallery, 3)
        self.assertIn(eve, self.bytes_of_all_files())
        self.refused("expire", says="--retention-days")
        self.assertEqual(self.act("expire", "--retention-days=50")["done"], [])
        dry = self.act("expire", "--retention-days=30", "--dry-run")
        self.assertEqual((dry["done"], dry["dry_run"]), (["removed unknown-2"], True))
        self.assertEqual(len(self.act("list", "--strangers")["strangers"]), 3)
        self.assertEqual(self.act("expire", "--retention-days=30")["done"], ["removed unknown-2"])
        self.assertNotIn(eve, self.bytes_of_all_files())
        self.assertEqual(self.act("expire", "--cap=1")["done"], ["removed unknown-3"])
        self.assertEqual([s["id"] for s in self.act("list", "--strangers")["strangers"]], ["unknown-1"])
        self.assertEqual(list(self.people()), ["ada"])
        self.assertEqual(self.act("expire", "--retention-days=0")["done"], ["removed unknown-1"])

    def test_bad_use(self):
        self.refused(says="actions")
        self.refused("frobnicate", says="frobnicate")
        self.refused("list", "ada", says="ada")
        self.refused("remove", says="name the people")


if __name__ == "__main__":
    unittest.main(verbosity=2)
