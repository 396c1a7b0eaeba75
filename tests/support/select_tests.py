#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints the names of a build's tests that match, one a line, or the files to be built for them."""

import argparse
import json
import os
import subprocess


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build-dir", required=True)
    parser.add_argument("--filter", default="")
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--compiled-only", action="store_true")
    parser.add_argument("--programs", action="store_true", help="print their programs, relative to the build")
    options = parser.parse_args()

    listing = subprocess.run(
        ["meson", "introspect", "--tests", options.build_dir],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    build = os.path.abspath(options.build_dir) + os.sep
    for test in json.loads(listing):
        command = test["cmd"]
        if options.filter not in test["name"]:
            continue
        if options.suite and not any(
                f"/tests/{suite}/" in part for suite in options.suite for part in command):
            continue
        if options.compiled_only and not command[0].startswith(build):
            continue
        print(os.path.relpath(command[0], build) if options.programs else test["name"])


if __name__ == "__main__":
    main()
