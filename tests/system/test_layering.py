#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The layering check finds nothing in the tree, and finds each kind of violation planted in a copy."""

import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CHECK = os.path.join(ROOT, "tests", "support", "check_layering.py")
SPDX = "// SPDX-License-Identifier: MIT\n"


def check(root):
    return subprocess.run([sys.executable, CHECK, root], stdout=subprocess.PIPE, text=True)


class LayeringTest(unittest.TestCase):
    def test_tree_is_clean(self):
        result = check(ROOT)
        self.assertEqual(result.returncode, 0, result.stdout)

    def planted(self, path, text):
        """What the check says of a tree that holds only this file."""
        with tempfile.TemporaryDirectory() as root:
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full))
            with open(full, "w", encoding="utf-8") as out:
                out.write(text)
            return check(root)

    def assert_found(self, path, text, line, why):
        result = self.planted(path, text)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn(f"{path}:{line}: ", result.stdout)
        self.assertIn(why, result.stdout)

    def assert_clean(self, path, text):
        result = self.planted(path, text)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_core_includes_gstreamer(self):
        for header in ("gst/gst.h", "glib.h", "gio/gio.h"):
            self.assert_found("core/face/x.cpp", SPDX + f"#include <{header}>\n", 2, "knows nothing")

    def test_arrow_backwards(self):
        text = SPDX + '#include "core/face/face.h"\n'
        self.assert_found("core/model/x.h", text, 2, "arrows go the other way")
        self.assert_clean("core/gallery/x.h", text)

    def test_unknown_folder(self):
        self.assert_found("core/misc/x.h", SPDX + '#include "core/face/face.h"\n', 2, "not in the order")

    def test_third_party_in_header(self):
        self.assert_found("core/engine/opencv_engine.h", SPDX + "#include <opencv2/dnn.hpp>\n", 2,
                          "its own backend")

    def test_third_party_outside_its_backend(self):
        self.assert_found("core/face/aligner.cpp", SPDX + "#include <opencv2/core.hpp>\n", 2, "only files")
        self.assert_found("gst/elements/x.cpp", SPDX + "#  include <sqlite3.h>\n", 2, "only files")
        self.assert_clean("core/engine/opencv_engine.cpp", SPDX + "#include <opencv2/dnn.hpp>\n")

    def test_plugin_includes_cli(self):
        self.assert_found("gst/elements/x.cpp", SPDX + '#include "core/cli/args.h"\n', 2, "command line")

    def test_public_meta_header(self):
        self.assert_found("gst/meta/include/gst/sphere/x.h", SPDX + '#include "core/face/face.h"\n', 2,
                          "GStreamer, GLib and its own")

    def test_licence_line(self):
        self.assert_found("core/base/x.h", "#pragma once\n", 1, "licence")


if __name__ == "__main__":
    unittest.main(verbosity=2)
