# SPDX-License-Identifier: MIT
"""Runs spherectl and looks for the large test data."""
import json
import os
import subprocess
import unittest

ROOT = os.environ["SPHERE_SOURCE_ROOT"]
DATA = os.path.join(os.environ.get("SPHERE_TEST_DATA") or os.path.join(ROOT, "..", "shared"), "data")
FAKE = ["--detector", "fake-detect", "--model", "fake-embed"]


def run(*arguments, env=None, cwd=None):
    return subprocess.run(["spherectl", *map(str, arguments)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})), cwd=cwd, timeout=900)


def run_json(*arguments, **options):
    """(exit code, the one document on standard output)"""
    done = run(*arguments, "--json", **options)
    return done.returncode, json.loads(done.stdout)


def need(*paths, models=()):
    """For setUpClass: skips where data or models are absent."""
    for path in paths:
        if not os.path.exists(os.path.join(DATA, path)):
            raise unittest.SkipTest(f"no test data at {DATA} (set SPHERE_TEST_DATA)")
    installed = {m["name"] for m in run_json("models", "list")[1]["models"] if m["installed"]}
    missing = set(models) - installed
    if missing:
        raise unittest.SkipTest(f"models not fetched: {', '.join(sorted(missing))} (spherectl models fetch)")


def write_picture(path, width=64, height=48, shade=0):
    """A PPM with a gradient; `shade` gives other people other faces."""
    pixels = bytes(((x * (shade % 3 + 1) + y * (shade % 5) + 40 * c * shade) // 2) % 256
                   for y in range(height) for x in range(width) for c in range(3))
    with open(path, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (width, height) + pixels)
