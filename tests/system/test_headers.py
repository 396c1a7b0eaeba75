#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each header under core/ and gst/ compiles alone; the metadata's public headers also as C.

The compilers are those of $CXX and $CC, or c++ and cc.
"""

import concurrent.futures
import glob
import os
import shlex
import subprocess
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def pkg_config(*packages):
    result = subprocess.run(["pkg-config", "--cflags", *packages], stdout=subprocess.PIPE, text=True)
    # As system headers: their warnings are not ours.
    return result.stdout.replace("-I", "-isystem").split()


def compile_header(header, compiler, language, standard, flags):
    """Error text of compiling a file that holds nothing but `#include <header>`, twice."""
    command = [*shlex.split(compiler), "-x", language, standard, *WARNINGS, *flags,
               "-I", ROOT, "-I", os.path.join(ROOT, "gst", "meta", "include"), "-"]
    source = f'#include "{header}"\n#include "{header}"\nint sphere_header_test;\n'
    result = subprocess.run(command, input=source, stderr=subprocess.PIPE, text=True)
    return "" if result.returncode == 0 else f"{header}: {result.stderr}"


def headers(pattern):
    return sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True))


class HeaderTest(unittest.TestCase):
    def compile_all(self, paths, compiler, language, standard, flags=()):
        self.assertTrue(paths, "no header found: the pattern is wrong")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = pool.map(
                lambda path: compile_header(path, compiler, language, standard, flags), paths)
        self.assertEqual([error for error in results if error], [])

    def test_core(self):
        # A backend's own folder is private and may need what is not installed.
        public = [h for h in headers("core/**/*.h") if "/engine/onednn/" not in h]
        self.compile_all(public, os.environ.get("CXX", "c++"), "c++", "-std=c++20")

    def test_public_metadata_as_c(self):
        flags = pkg_config("gstreamer-1.0", "gstreamer-video-1.0")
        self.compile_all(headers("gst/meta/include/**/*.h"), os.environ.get("CC", "cc"), "c",
                         "-std=c11", flags)

    def test_gst(self):
        flags = pkg_config("gstreamer-1.0", "gstreamer-video-1.0", "gstreamer-base-1.0")
        self.compile_all(headers("gst/**/*.h"), os.environ.get("CXX", "c++"), "c++", "-std=c++20",
                         flags)

    def test_a_broken_header_is_found(self):
        import tempfile
        with tempfile.NamedTemporaryFile("w", suffix=".h") as header:
            header.write("inline std::string f() { return {}; }\n")
            header.flush()
            self.assertIn("std", compile_header(header.name, os.environ.get("CXX", "c++"), "c++",
                                                "-std=c++20", []))


if __name__ == "__main__":
    unittest.main(verbosity=2)
