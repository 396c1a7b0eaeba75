#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The metadata library on Debian 13's GStreamer (1.26), in a root made by debootstrap for it: its mirror as
GstAnalytics passes its tests, and objectdetectionoverlay draws our faces. Only with SPHERE_SLOW_TESTS=1, and with
SPHERE_DEBIAN13_ROOT=DIR, which keeps the root there for another run."""
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

import system_support as support

PACKAGES = ("g++ pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-bad libgtest-dev")
MODULES = "gstreamer-1.0 gstreamer-video-1.0 gstreamer-analytics-1.0 gstreamer-check-1.0"
SOURCES = ("gst/meta", "tests/gst", "tests/support")
# x, y, width, height; what tests/support/overlay_faces.cpp draws
BOXES = ((40, 60, 80, 100), (200, 80, 60, 70))


class Debian13(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.environ.get("SPHERE_SLOW_TESTS") != "1":
            raise unittest.SkipTest("makes a Debian 13 root, some minutes: set SPHERE_SLOW_TESTS=1")
        if os.geteuid() != 0 or not shutil.which("debootstrap"):
            raise unittest.SkipTest("needs root and debootstrap")
        kept = os.environ.get("SPHERE_DEBIAN13_ROOT")
        if kept:
            cls.root = os.path.abspath(kept)
        else:
            folder = tempfile.TemporaryDirectory()
            cls.addClassCleanup(folder.cleanup)
            os.chmod(folder.name, 0o755)
            cls.root = os.path.join(folder.name, "root")
        cls.make_root()
        cls.build()

    @classmethod
    def make_root(cls):
        if not os.path.exists(os.path.join(cls.root, "etc/debian_version")):
            made = cls.run_quietly("debootstrap", "--variant=minbase", "trixie", cls.root)
            if made.returncode != 0:
                raise unittest.SkipTest("debootstrap cannot make a Debian 13 root here: " + made.stdout[-200:])
        with open(os.path.join(cls.root, "usr/sbin/policy-rc.d"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(file.name, 0o755)
        if cls.inside(f"pkg-config --exists {MODULES} gtest").returncode == 0:
            return
        done = cls.inside("export DEBIAN_FRONTEND=noninteractive; apt-get update -q && "
                          f"apt-get install -y -q --no-install-recommends {PACKAGES}")
        if done.returncode != 0:
            raise unittest.SkipTest("Debian 13's GStreamer cannot be had: " + done.stdout[-200:])

    @classmethod
    def build(cls):
        work = os.path.join(cls.root, "srv/work")
        shutil.rmtree(work, ignore_errors=True)
        for source in SOURCES:
            shutil.copytree(os.path.join(support.ROOT, source), os.path.join(work, source))
        flags = f"-std=c++20 -O1 -Wall -Wextra -I. -Igst/meta/include -DGST_USE_UNSTABLE_API $(pkg-config --cflags {MODULES})"
        libs = f"-L. -lgstspheremeta -Wl,-rpath,/srv/work $(pkg-config --libs {MODULES})"
        done = cls.inside(
            "set -e; cd /srv/work; rm gst/meta/analytics_mirror_stub.cpp\n"
            f"g++ {flags} -fPIC -shared -o libgstspheremeta.so gst/meta/*.cpp $(pkg-config --libs {MODULES})\n"
            f"g++ {flags} -o test_analytics tests/gst/test_analytics.cpp tests/gst/gst_main.cpp -lgtest {libs}\n"
            f"g++ {flags} -o overlay_faces tests/support/overlay_faces.cpp {libs}\n")
        if done.returncode != 0:
            raise AssertionError(done.stdout[-4000:])

    @staticmethod
    def run_quietly(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=3000)

    @classmethod
    def inside(cls, script):
        return cls.run_quietly("chroot", cls.root, "env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root",
                               "LANG=C.UTF-8", "sh", "-c", script)

    def picture(self, *options):
        done = self.inside("cd /srv/work && ./overlay_faces out.ppm " + " ".join(options))
        self.assertEqual(done.returncode, 0, done.stdout)
        with open(os.path.join(self.root, "srv/work/out.ppm"), "rb") as file:
            header = [file.readline() for _ in range(3)]
            self.assertEqual(header, [b"P6\n", b"320 240\n", b"255\n"])
            return np.frombuffer(file.read(), np.uint8).reshape(240, 320, 3).astype(int)

    def test_gstreamer_is_1_26(self):
        self.assertTrue(self.inside("pkg-config --modversion gstreamer-1.0").stdout.startswith("1.26."))

    def test_the_mirrors_tests_pass(self):
        # One test needs the plugin, which is not built here.
        done = self.inside("/srv/work/test_analytics --gtest_filter=-*.ElementsWrite*")
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertRegex(done.stdout, r"\[  PASSED  \] \d\d+ tests")

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
