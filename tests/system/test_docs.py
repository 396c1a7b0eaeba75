#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the manual says works: marked shell blocks run, every pipeline parses, every link leads somewhere.

A block of ```sh (or ```python) after a line `<!-- run -->` is run in a directory of its own that holds
video.mp4 (2 s, several faces), photo.jpg and people/NAME/*.jpg.
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

import system_support as support  # noqa: E402

FENCE = re.compile(r"^(?P<mark><!-- run -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$",
                   re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)]*)?\)")


def manual():
    """(path from the root, text) of each page."""
    paths = glob.glob(os.path.join(support.ROOT, "*.md"))
    paths += glob.glob(os.path.join(support.ROOT, "docs", "**", "*.md"), recursive=True)
    for path in sorted(paths):
        with open(path, encoding="utf-8") as page:
            yield os.path.relpath(path, support.ROOT), page.read()


def blocks():
    """(page and line, language, whether it is run, text)"""
    for path, text in manual():
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}", match["language"], bool(match["mark"]), match["body"]


def pipelines():
    """(place, description that Gst.parse_launch takes) of each gst-launch-1.0 command."""
    for place, language, _, body in blocks():
        if language not in ("sh", "bash", "console"):
            continue
        for line in body.replace("\\\n", " ").splitlines():
            before, found, command = line.partition("gst-launch-1.0 ")
            if not found or before.strip().startswith("#"):
                continue
            words = shlex.split(re.split(r"\s(?:>|\||&&|;)\s", command)[0], comments=True)
            while words and words[0].startswith("-"):
                words.pop(0)
            yield place, " ".join(w if re.fullmatch(r"[\w.,:;=/!()*@%+-]+", w) else quoted(w)
                                  for w in words)


def quoted(word):
    name, equals, value = word.partition("=")
    return f'{name}="{value}"' if equals else f'"{word}"'


class PagesTest(unittest.TestCase):
    def test_links(self):
        bad = [f"{path}: {target}" for path, text in manual() for target, _ in LINK.findall(text)
               if not os.path.exists(os.path.join(support.ROOT, os.path.dirname(path), target))]
        self.assertEqual(bad, [])

    def test_there_is_something_to_run(self):
        self.assertTrue(any(run for _, _, run, _ in blocks()))


class PipelinesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        Gst.init(None)

    def test_every_pipeline_parses(self):
        count = 0
        for place, description in pipelines():
            with self.subTest(place=place, pipeline=description):
                try:
                    Gst.parse_launch(description)
                except GLib.Error as error:
                    self.fail(f"{place}: {error.message}")
            count += 1
        self.assertGreater(count, 0)


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        support.need_data()
        support.need_models("fr_feature")

    def prepare(self, directory):
        support.run(["ffmpeg", "-v", "error", "-y", "-i",
                     os.path.join(support.VIDEOS, "facenet_pytorch_video.mp4"), "-t", "2", "-vf",
                     "scale=960:-2", os.path.join(directory, "video.mp4")])
        train = os.path.join(support.PHOTOS, "face_recognition", "knn", "train")
        shutil.copytree(train, os.path.join(directory, "people"), copy_function=shutil.copyfile)
        shutil.copyfile(os.path.join(support.PHOTOS, "face_recognition", "two_people.jpg"),
                        os.path.join(directory, "photo.jpg"))

    def check_page(self, page):
        """The blocks of a page run in order, in one directory: later ones use what earlier ones made."""
        with tempfile.TemporaryDirectory() as directory:
            self.prepare(directory)
            for place, language, run, body in blocks():
                if not run or place.rpartition(":")[0] != page:
                    continue
                command = {"sh": ["bash", "-euo", "pipefail", "-c", body],
                           "python": ["/usr/bin/python3", "-c", body]}[language]
                result = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, timeout=120,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                self.assertEqual(result.returncode, 0, f"{place}:\n{body}\n{result.stdout[-3000:]}")


def add_page(page):
    setattr(RunTest, "test_" + re.sub(r"\W", "_", page), lambda self: self.check_page(page))


for page_name in sorted({place.rpartition(":")[0] for place, _, run, _ in blocks() if run}):
    add_page(page_name)

if __name__ == "__main__":
    unittest.main(verbosity=2)
