#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cuts files into pieces for machines that take little at a time, and joins them there.

usage: pack.py split --out DIR [--bytes N] FILE...
       pack.py join --pieces DIR [--pieces DIR...] --out DIR

`split` writes DIR/manifest.json and DIR/piece-0001, piece-0002, …, none larger than N bytes (default 57671680: 55 MiB), from one
stream of all files. `join` writes the files once every piece is there and right (sha256); until then it says which are
missing and ends with 75. Standard library only.
"""
import argparse
import hashlib
import json
import os
import re
import sys


def split(files, out, limit):
    os.makedirs(out, exist_ok=True)
    for name in os.listdir(out):
        if re.fullmatch(r"piece-\d{4,}", name):
            os.remove(os.path.join(out, name))  # of an earlier split
    entries, pieces = [], []
    current = digest = None
    for path in files:
        name, whole, size = os.path.basename(path), hashlib.sha256(), 0
        if any(e["name"] == name for e in entries):
            raise SystemExit(f"two files are called {name}")
        with open(path, "rb") as source:
            while True:
                if current is None:
                    pieces.append({"name": f"piece-{len(pieces) + 1:04}", "bytes": 0})
                    current, digest = open(os.path.join(out, pieces[-1]["name"]), "wb"), hashlib.sha256()
                block = source.read(min(1 << 20, limit - pieces[-1]["bytes"]))
                if not block:
                    break
                current.write(block)
                for d in (whole, digest):
                    d.update(block)
                size += len(block)
                pieces[-1]["bytes"] += len(block)
                if pieces[-1]["bytes"] == limit:
                    current.close()
                    pieces[-1]["sha256"], current = digest.hexdigest(), None
        entries.append({"name": name, "bytes": size, "sha256": whole.hexdigest()})
    if current is not None:
        current.close()
        pieces[-1]["sha256"] = digest.hexdigest()
        if not pieces[-1]["bytes"]:
            os.remove(os.path.join(out, pieces.pop()["name"]))
    manifest = {"files": entries, "pieces": pieces}
    with open(os.path.join(out, "manifest.json"), "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
    return manifest


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def find(name, folders):
    return next((p for p in (os.path.join(f, name) for f in folders) if os.path.exists(p)), None)


def join(folders, out):
    """Names of missing or damaged pieces; none if the files have been written."""
    manifest_path = find("manifest.json", folders)
    if manifest_path is None:
        return ["manifest.json"]
    with open(manifest_path, encoding="utf-8") as file:
        manifest = json.load(file)
    os.makedirs(out, exist_ok=True)
    if all(os.path.exists(os.path.join(out, e["name"])) and sha256(os.path.join(out, e["name"])) == e["sha256"]
           for e in manifest["files"]):
        return []
    paths = {p["name"]: find(p["name"], folders) for p in manifest["pieces"]}
    wrong = [p["name"] for p in manifest["pieces"] if paths[p["name"]] is None or sha256(paths[p["name"]]) != p["sha256"]]
    if wrong:
        return wrong

    def stream():
        for piece in manifest["pieces"]:
            with open(paths[piece["name"]], "rb") as file:
                yield from iter(lambda: file.read(1 << 20), b"")

    blocks, rest = stream(), b""
    for entry in manifest["files"]:
        if os.path.basename(entry["name"]) != entry["name"]:
            raise SystemExit(f"the manifest names a file in another folder: {entry['name']}")
        part = os.path.join(out, entry["name"] + ".part")
        with open(part, "wb") as target:
            left = entry["bytes"]
            while left:
                rest = rest or next(blocks)
                target.write(rest[:left])
                left, rest = left - len(rest[:left]), rest[left:]
        if sha256(part) != entry["sha256"]:
            raise SystemExit(f"{entry['name']} is not what was split")
        os.replace(part, os.path.join(out, entry["name"]))
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    one = actions.add_parser("split")
    one.add_argument("files", nargs="+")
    one.add_argument("--out", required=True)
    one.add_argument("--bytes", type=int, default=55 << 20)
    two = actions.add_parser("join")
    two.add_argument("--pieces", action="append", required=True)
    two.add_argument("--out", required=True)
    options = parser.parse_args()
    if options.action == "split":
        if options.bytes < 1:
            parser.error("--bytes must be positive")
        manifest = split(options.files, options.out, options.bytes)
        print(f"{len(manifest['files'])} files in {len(manifest['pieces'])} pieces in {options.out}")
        return
    missing = join(options.pieces, options.out)
    if missing:
        print("missing or damaged: " + ", ".join(missing), file=sys.stderr)
        sys.exit(75)
    print(f"joined in {options.out}")


if __name__ == "__main__":
    main()
