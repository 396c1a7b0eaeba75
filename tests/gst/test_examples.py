#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The example programs of pipelines/examples: built with the public header alone, they print the faces of
a clip, with names where a gallery is given, and say what is wrong with bad input."""
import json
import os
import subprocess
import tempfile
import unittest

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
BUILD = os.environ["SPHERE_BUILD_ROOT"]
EXAMPLES = os.path.join(ROOT, "pipelines", "examples")
FRAMES = 5


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def launch(description):
    """Runs a pipeline; its words are separated by blanks."""
    done = run(["gst-launch-1.0", "-q", *description.split()])
    if done.returncode != 0:
        raise AssertionError(f"{description}: {done.stderr}")


def fakes_as_defaults(folder):
    """A model directory in which the default detector and recogniser are the fake ones."""
    os.makedirs(folder)
    for fake, name in (("fake-detect", "yunet-640"), ("fake-embed", "sphereface20-sphere")):
        with open(os.path.join(ROOT, f"tests/support/models/{fake}.json"), encoding="utf-8") as file:
            descriptor = json.load(file)
        descriptor.update(name=name, may_be_default=True)
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(descriptor, file)
    return folder


class Examples:
    """The same for each language."""

    command: list

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.clip = os.path.join(folder.name, "clip.avi")
        cls.photo = os.path.join(folder.name, "photo.png")
        cls.gallery = os.path.join(folder.name, "people.db")
        cls.nothing = os.path.join(folder.name, "nothing.avi")
        source = f"videotestsrc num-buffers={FRAMES} ! video/x-raw,width=320,height=240,framerate=25/1"
        launch(f"{source} ! jpegenc quality=95 ! avimux ! filesink location={cls.clip}")
        launch(f"{source} ! pngenc snapshot=true ! filesink location={cls.photo}")
        cls.env = dict(os.environ, SPHERE_MODEL_PATH=fakes_as_defaults(os.path.join(folder.name, "models")))

    def faces(self, *arguments):
        done = run([*self.command, *arguments], env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_a_line_a_face(self):
        lines = self.faces(self.clip)
        self.assertEqual(len(lines), FRAMES, lines)
        for line in lines:
            self.assertIn("100,60 120x120", line)
        self.assertIn("0.160", lines[-1].split()[0])

    def test_names_with_a_gallery(self):
        spherectl = os.path.join(BUILD, "core", "cli", "spherectl")
        if not os.path.exists(spherectl):
            self.skipTest("built without spherectl (enable with -Dcli=enabled): nobody can be enrolled")
        done = run([spherectl, "enrol", "--gallery", self.gallery, "--id", "ada", self.photo], env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = self.faces(self.clip, self.gallery)
        self.assertEqual(len(lines), FRAMES, lines)
        for line in lines:
            self.assertEqual(line.split()[-1], "ada", line)

    def test_bad_input_is_said_and_ends(self):
        done = run(self.command, env=self.env)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("usage:", done.stderr)
        for arguments in ([self.nothing], [self.photo + ".txt"], [self.clip, self.nothing]):
            with self.subTest(arguments=arguments):
                done = run([*self.command, *arguments], env=self.env)
                self.assertEqual(done.returncode, 1)
                self.assertNotEqual(done.stderr.strip(), "")


class ExampleInC(Examples, unittest.TestCase):
    command = [os.path.join(BUILD, "tests/gst/read_faces_c")]


class ExampleInCpp(Examples, unittest.TestCase):
    command = [os.path.join(BUILD, "tests/gst/read_faces_cpp")]

    def setUp(self):
        if not os.path.exists(self.command[0]):
            self.skipTest("gstreamer-app-1.0 (libgstreamer-plugins-base1.0-dev) is not installed")

    def test_embeddings_with_a_gallery(self):
        self.test_names_with_a_gallery()
        for line in self.faces(self.clip, self.gallery):
            self.assertRegex(line, r"\|embedding\| [0-9]+\.[0-9]+ ada$")


class ExampleInPython(Examples, unittest.TestCase):
    command = ["/usr/bin/python3", os.path.join(EXAMPLES, "read_faces.py")]

    def setUp(self):
        if not os.path.exists(os.path.join(BUILD, "gst/meta/GstSphere-1.0.typelib")):
            self.skipTest("built without introspection (enable with -Dintrospection=enabled)")


# Its crates are not to be had everywhere, so it is not built with the rest: `cargo build` in
# pipelines/examples/rust, and the path of the program in SPHERE_RUST_EXAMPLE.
if "SPHERE_RUST_EXAMPLE" in os.environ:
    class ExampleInRust(Examples, unittest.TestCase):
        command = [os.environ["SPHERE_RUST_EXAMPLE"]]


if __name__ == "__main__":
    unittest.main(verbosity=2)
