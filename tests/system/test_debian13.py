#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gst-sphere on Debian 13, in a root made by debootstrap: built with every part it has packages for (GStreamer 1.26,
oneDNN 3, ONNX Runtime, SQLCipher 4), the tests of what Debian 12 does not have, objectdetectionoverlay drawing our
faces, and the plugin in a pipeline. Only with SPHERE_SLOW_TESTS=1; debian13_root.py says how a root is kept.
SPHERE_JOBS=N builds with N at a time."""
import json
import os
import re
import shutil
import unittest
import xml.etree.ElementTree as ElementTree

import numpy as np

import system_support as support
from debian13_root import Debian13Root

# Beyond what the build and the tests install on Debian 12, where these are absent or older.
MORE_PACKAGES = ["libgstreamer-plugins-bad1.0-dev", "libonnxruntime-dev", "libsqlcipher-dev"]
# Hundreds of packages that the suites below do not use.
LEFT_OUT = {"chromium", "npm"}
SOURCES = ("meson.build", "meson_options.txt", "core", "gst", "models", "pipelines", "tests")
LIBRARIES = ("core/libspherecore.so", "core/libspherecore-opencv-[0-9.]+.so", "gst/libgstsphere.so", "gst/meta/libgstspheremeta.so")
# What Debian 12 does not have, or has older: meson's name of the test, its program, the cases that must run and how
# many at least.
TESTS = (("test_engine", "tests/conformance/test_engine", (("/onnxruntime$", 8), ("/onednn_", 16))),
         ("test_gallery_key", "tests/core/test_gallery_key", ((r"\.GalleryKey", 3),)),
         ("test_gst_analytics", "tests/gst/test_gst_analytics", ((r"\.Analytics\.", 10),)))
JOBS = os.environ.get("SPHERE_JOBS") or str(os.cpu_count())
# x, y, width, height; what tests/support/overlay_faces.cpp draws
BOXES = ((40, 60, 80, 100), (200, 80, 60, 70))


def wanted_packages():
    names = set(MORE_PACKAGES)
    for listing in ("pipelines/packages.txt", "tests/packages.txt"):
        with open(os.path.join(support.ROOT, listing), encoding="utf-8") as lines:
            for line in lines:
                name = line.split("#")[0].strip().split(":")[-1]
                if name:
                    names.add(name)
    return sorted(names - LEFT_OUT)


class Debian13(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Debian13Root.of(cls)
        cls.root.install(wanted_packages())
        cls.data = os.path.abspath(support.DATA) if os.path.isdir(support.DATA) else ""
        cls.setup = cls.build()

    @classmethod
    def build(cls):
        work = cls.root.at("srv/work")
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        for source in SOURCES:
            # Times are kept: a root that is kept builds what has changed.
            path = os.path.join(support.ROOT, source)
            if os.path.isdir(path):
                shutil.copytree(path, os.path.join(work, source), ignore=shutil.ignore_patterns("node_modules"))
            else:
                shutil.copy2(path, work)
        # What is found by itself elsewhere has to be found here: no part is left out in silence.
        setup = cls.inside("if [ -e /srv/build/build.ninja ]; then again=--reconfigure; fi\n"
                           "meson setup $again /srv/build /srv/work -Dauto_features=enabled -Dsqlcipher=enabled", 900)
        if setup.returncode != 0:
            raise AssertionError(setup.stdout[-4000:])
        wanted = "|".join([*LIBRARIES, *(program for _, program, _ in TESTS)])
        made = cls.inside(
            "set -e; cd /srv/build\n"
            f"ninja -j {JOBS} $(ninja -t targets all | sed -nE 's,^(({wanted})(\\.[0-9.]+)?): .*,\\1,p' | sort -u)\n"
            "g++ -std=c++20 -O1 -Wall -Wextra -I/srv/work -I/srv/work/gst/meta/include -o /srv/overlay_faces "
            "/srv/work/tests/support/overlay_faces.cpp -L/srv/build/gst/meta -Wl,-rpath,/srv/build/gst/meta "
            "-lgstspheremeta $(pkg-config --cflags --libs gstreamer-video-1.0)", 10000)
        if made.returncode != 0:
            failed = made.stdout.find("FAILED:")
            raise AssertionError(made.stdout[failed:failed + 6000] if failed >= 0 else made.stdout[-6000:])
        return setup.stdout

    @classmethod
    def inside(cls, script, timeout_s=600):
        return cls.root.run(script, timeout_s=timeout_s, data=cls.data,
                            environment=["SPHERE_TEST_DATA=/srv/shared"] if cls.data else ())

    def version(self, command):
        done = self.inside(command)
        self.assertEqual(done.returncode, 0, done.stdout)
        print(command, "->", done.stdout.strip())
        return tuple(int(number) for number in re.findall(r"\d+", done.stdout)[:2])

    def picture(self, *options):
        done = self.inside("cd /srv && ./overlay_faces out.ppm " + " ".join(options))
        self.assertEqual(done.returncode, 0, done.stdout)
        with open(self.root.at("srv/out.ppm"), "rb") as file:
            header = [file.readline() for _ in range(3)]
            self.assertEqual(header, [b"P6\n", b"320 240\n", b"255\n"])
            return np.frombuffer(file.read(), np.uint8).reshape(240, 320, 3).astype(int)

    def test_versions(self):
        self.assertEqual(self.version("pkg-config --modversion gstreamer-1.0"), (1, 26))
        self.assertEqual(self.version("dpkg-query -W -f='${Version}' libdnnl-dev")[0], 3)
        self.assertGreaterEqual(self.version("pkg-config --modversion libonnxruntime"), (1, 16))
        self.assertGreaterEqual(self.version("dpkg-query -W -f='${Version}' libsqlcipher-dev")[0], 4)
        self.assertGreaterEqual(self.version("g++ -dumpfullversion")[0], 14)

    def test_every_part_is_built_in(self):
        parts = dict(re.findall(r"^\s+(\S[^:\n]*?)\s*: (YES|NO)$", self.setup, re.MULTILINE))
        print(parts)
        for part in ("engine onednn", "engine onnxruntime", "index faiss", "index hnsw", "encrypted galleries",
                     "galleries on PostgreSQL", "GStreamer plugin", "GstAnalytics mirror", "sphere-camera"):
            self.assertIn(part, parts)
        self.assertEqual([part for part, built in parts.items() if built != "YES"], [])

    def test_libraries_link_to_them(self):
        for library, needed in (("core/libspherecore.so", ("libdnnl.so.3", "libonnxruntime.so", "libsqlcipher.so")),
                                ("gst/meta/libgstspheremeta.so", ("libgstanalytics-1.0.so",))):
            dynamic = self.inside(f"readelf -d /srv/build/{library}").stdout
            for name in needed:
                self.assertIn(f"Shared library: [{name}", dynamic)
        self.assertNotIn("Shared library: [libsqlite3", self.inside("readelf -d /srv/build/core/libspherecore.so").stdout)

    def test_what_is_new_there(self):
        done = self.inside(
            "cd /srv/build && rm -f meson-logs/testlog.* && meson test --no-rebuild --num-processes 1 "
            f"--timeout-multiplier 6 {' '.join(name for name, _, _ in TESTS)}; cat meson-logs/testlog.txt", 3000)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        report = ElementTree.parse(self.root.at("srv/build/meson-logs/testlog.junit.xml")).getroot()
        ran, skipped = [], []
        for suite in report:
            for case in suite.findall("testcase"):
                self.assertIsNone(case.find("failure"), f"{suite.get('name')}.{case.get('name')}")
                name = f"{suite.get('name')}.{case.get('name')}"
                (skipped if case.find("skipped") is not None else ran).append(name)
        print(f"{len(ran)} passed, {len(skipped)} skipped")
        # A build without the part would skip its cases.
        for part, least in (row for _, _, rows in TESTS for row in rows):
            self.assertGreaterEqual(sum(bool(re.search(part, name)) for name in ran), least, (part, ran, skipped))
            self.assertEqual([name for name in skipped if re.search(part, name)], [])

    def test_the_plugin_in_a_pipeline(self):
        def launch(road):
            return self.inside("export GST_PLUGIN_PATH=/srv/build/gst LD_LIBRARY_PATH=/srv/build/core:/srv/build/gst/meta "
                               "GST_REGISTRY=/srv/registry SPHERE_MODEL_PATH=/srv/work/tests/support/models:"
                               "/srv/work/models:/srv/shared/models:/srv/shared/models/mfn_honghu G_DEBUG=fatal-criticals\n"
                               f"cd /srv && rm -f out.jsonl && gst-launch-1.0 -q {road} ! spherepublish location=out.jsonl "
                               "! fakesink && cat out.jsonl")

        done = launch("videotestsrc num-buffers=20 pattern=ball ! spheredetect model=fake-detect ! spherealign "
                      "! sphereembed model=fake-embed")
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertEqual(done.stdout.count('"schema":"sphere.frame/1"'), 20, done.stdout[-2000:])
        if not self.data:
            return
        done = launch("filesrc location=/srv/shared/data/videos/liveportrait_d18.mp4 ! decodebin ! videorate "
                      "! video/x-raw,framerate=2/1 ! spheredetect engine=onnxruntime ! spherealign ! sphereembed "
                      "model=mobilefacenet engine=onednn")
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.assertGreater(len(records), 3)
        self.assertTrue(all(len(record["faces"]) == 1 for record in records), done.stdout[-2000:])

    def test_objectdetectionoverlay_draws_our_faces(self):
        plain, drawn = self.picture("plain"), self.picture()
        changed = np.abs(plain - drawn).max(axis=2) > 40
        red = (drawn[:, :, 0] > 150) & (drawn[:, :, 1] < 90) & (drawn[:, :, 2] < 90)
        near = np.zeros_like(changed)
        for x, y, w, h in BOXES:
            for edge in (red[y - 3:y + 4, x + 8:x + w - 8].any(axis=0), red[y + h - 3:y + h + 4, x + 8:x + w - 8].any(axis=0),
                         red[y + 8:y + h - 8, x - 3:x + 4].any(axis=1), red[y + 8:y + h - 8, x + w - 3:x + w + 4].any(axis=1)):
                self.assertGreater(edge.mean(), 0.95, (x, y, w, h))
            self.assertFalse(changed[y + h // 2:y + h - 6, x + 6:x + w - 6].any(), "something is drawn inside the box")
            near[max(0, y - 45):y + h + 8, max(0, x - 8):x + w + 120] = True
        self.assertFalse((changed & ~near).any(), "something is drawn away from the faces")


if __name__ == "__main__":
    unittest.main(verbosity=2)
