#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Engine onednn compiles with oneDNN 2.x and 3.x: the installed headers, and those of Debian 13."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("SPHERE_SOURCE_ROOT") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = f"""Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: {KEYRING}
"""


def version_of(include):
    for name in ("dnnl_version.h", "dnnl_config.h"):
        path = os.path.join(include, "oneapi", "dnnl", name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                found = re.search(r"define DNNL_VERSION_MAJOR (\d+)", file.read())
            if found:
                return int(found.group(1))
    return 0


def download_trixie(folder):
    """The include folder of Debian 13's libdnnl-dev, by an apt of its own that changes nothing; None without a net."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and os.path.exists(KEYRING)):
        return None
    for name in ("parts", "state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name))
    with open(os.path.join(folder, "parts", "trixie.sources"), "w", encoding="utf-8") as file:
        file.write(SOURCES)
    options = [f"-oDir::Etc::sourceparts={folder}/parts", "-oDir::Etc::sourcelist=/dev/null",
               f"-oDir::State={folder}/state", f"-oDir::Cache={folder}/cache",
               "-oDir::State::status=/dev/null", "-oAcquire::Retries=1", "-oAcquire::http::Timeout=20"]
    for command in (["update"], ["download", "libdnnl-dev"]):
        try:
            done = subprocess.run(["apt-get", *options, *command], cwd=folder, capture_output=True,
                                  timeout=240, check=False)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
    for package in glob.glob(os.path.join(folder, "*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, os.path.join(folder, "root")], check=True)
    return os.path.join(folder, "root", "usr", "include")


class OnednnVersions(unittest.TestCase):
    def compile_with(self, *include):
        compiler = shutil.which("g++") or shutil.which("clang++")
        if not compiler:
            self.skipTest("there is no C++ compiler")
        for source in sorted(glob.glob(os.path.join(ROOT, "core/engine/onednn/*.cpp"))):
            done = subprocess.run(
                [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                 "-Wno-missing-field-initializers", "-I", ROOT, *include, source],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_version_2_or_what_is_installed(self):
        if version_of("/usr/include") == 0:
            self.skipTest("oneDNN's headers are not installed (libdnnl-dev)")
        self.compile_with()

    def test_version_3(self):
        if version_of("/usr/include") == 3:
            self.skipTest("the installed headers are version 3 already")
        with tempfile.TemporaryDirectory() as folder:
            include = download_trixie(folder)
            if include is None:
                self.skipTest("Debian 13's libdnnl-dev cannot be had: no network, or not Debian")
            self.assertEqual(version_of(include), 3)
            self.compile_with("-isystem", include)


if __name__ == "__main__":
    unittest.main(verbosity=2)
