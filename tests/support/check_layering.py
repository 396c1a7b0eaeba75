#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks the rules of the house that can be read from the sources (docs/architecture.md).

usage: check_layering.py [ROOT]
Prints one line a finding, "FILE:LINE: what and why", and ends with 1 if there is any.
"""

import os
import re
import sys

# What a folder of core/ may include from core/, beside itself.
CORE_ARROWS = {
    "base": set(),
    "image": {"base"},
    "model": {"base", "image"},
    "engine": {"base", "image", "model"},
    "face": {"base", "image", "model", "engine"},
    "gallery": {"base", "image", "model", "engine", "face"},
    "publish": {"base", "image", "model", "engine", "face"},
    "cli": {"base", "image", "model", "engine", "face", "gallery", "publish"},
}

# Third-party headers, and the .cpp files under core/ that may see each: its own backend.
BACKEND_HEADERS = [
    (r"opencv2?/", r"core/(engine/opencv_|image/codec|face/haar_)"),
    (r"sqlite3", r"core/gallery/sqlite_"),
    (r"nlohmann/", r"core/"),
    (r"dnnl|oneapi/", r"core/engine/onednn"),
    (r"onnxruntime", r"core/engine/onnxruntime"),
    (r"cuda|cudnn|cublas|nvinfer", r"core/engine/cuda"),
    (r"faiss/", r"core/gallery/faiss_"),
    (r"hnswlib/", r"core/gallery/hnsw_"),
    (r"libpq|postgresql/", r"core/gallery/(postgres|pgvector)_"),
    (r"librdkafka/|rdkafka", r"core/publish/kafka_"),
    (r"mosquitto", r"core/publish/mqtt_"),
    (r"curl/", r"core/publish/webhook_"),
]

GLIB = re.compile(r"(gst/|glib|gobject/|gio/|gmodule|gtk/)")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
CODE = (".h", ".hpp", ".c", ".cpp")
WITH_SPDX = CODE + (".py", ".sh")
FOLDERS = ("core", "gst", "tests", "pipelines", ".ci")
PUBLIC_META = "gst/meta/include/"


def core_findings(path, header):
    folder = path.split("/")[1]
    if GLIB.match(header):
        yield "core/ knows nothing of GStreamer and GLib"
    if header.startswith("core/"):
        target = header.split("/")[1]
        allowed = CORE_ARROWS.get(folder)
        if allowed is None:
            yield f"core/{folder} is not in the order of the layers (check_layering.py)"
        elif target != folder and target not in allowed:
            yield f"core/{folder} may not include core/{target}: arrows go the other way"


def in_private_folder(path):
    """A backend of several files has a folder of its own, whose headers nobody else may include."""
    return path.startswith("core/engine/onednn/")


def backend_findings(path, header):
    for pattern, owner in BACKEND_HEADERS:
        if not re.match(pattern, header):
            continue
        if not path.endswith(".cpp") and not in_private_folder(path):
            yield "a third-party header belongs in the .cpp of its own backend"
        elif not re.match(owner, path):
            yield f"only files that match {owner} may include this"


def gst_findings(path, header):
    if header.startswith("core/cli/"):
        yield "gst/ may not include the command line"
    if path.startswith(PUBLIC_META) and not re.match(r"gst/(gst\.h|video/|sphere/)|glib", header):
        yield "a public header of the metadata library includes GStreamer, GLib and its own only"


def findings_of(path, lines):
    if path.endswith(WITH_SPDX):
        head = "".join(lines[:2])
        if "SPDX-License-Identifier: MIT" not in head:
            yield 1, "the first line is the SPDX licence identifier"
    if not path.endswith(CODE) or not path.startswith(("core/", "gst/")):
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match[1]
        checks = [backend_findings]
        checks.append(core_findings if path.startswith("core/") else gst_findings)
        for check in checks:
            for why in check(path, header):
                yield number, f"#include <{header}>: {why}"


def source_files(root):
    for folder in FOLDERS:
        for directory, names, files in os.walk(os.path.join(root, folder)):
            names[:] = [n for n in names if not n.startswith(("build", "__pycache__"))]
            for name in sorted(files):
                yield os.path.relpath(os.path.join(directory, name), root)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")
    count = 0
    for path in source_files(root):
        if not path.endswith(WITH_SPDX):
            continue
        with open(os.path.join(root, path), encoding="utf-8") as source:
            lines = source.readlines()
        for number, why in findings_of(path, lines):
            print(f"{path}:{number}: {why}")
            count += 1
    print(f"layering: {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
