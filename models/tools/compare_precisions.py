#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How far a detector in one precision agrees with itself in another, by `spherectl detect`.

    models/tools/compare_precisions.py --detector yunet-640 int8 FOLDER…

A folder's pictures, those of its sub-folders included, make one line: faces found in fp32, in the other precision and
by both (boxes with an IoU of 0.5 or more), the mean IoU of these, how far their five landmarks are apart in eye
distances (a profile's eyes count as a quarter of its box's width apart), and how far their scores are.
"""
import argparse
import json
import math
import os
import subprocess
import sys

PICTURES = (".jpg", ".jpeg", ".png")
AT_ONCE = 400  # pictures a command


def pictures_in(folder):
    return sorted(os.path.join(root, name) for root, _, names in os.walk(folder) for name in names
                  if name.lower().endswith(PICTURES))


def detect(paths, detector, precision):
    """The faces of each picture."""
    found = {}
    for first in range(0, len(paths), AT_ONCE):
        done = subprocess.run(["spherectl", "detect", "--json", "--detector", detector, "--landmark-model", "none",
                               "--engine", "onednn", "--precision", precision, *paths[first:first + AT_ONCE]],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        found.update({image["path"]: image["faces"] for image in json.loads(done.stdout)["images"]})
    return found


def overlap(a, b):
    """Intersection over union of two boxes: left, top, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def pairs_of(reference, other):
    """Faces that are the same: the greatest overlaps first."""
    overlaps = sorted(((overlap(a["box"], b["box"]), i, k) for i, a in enumerate(reference)
                       for k, b in enumerate(other)), reverse=True)
    taken = (set(), set())
    for iou, i, k in overlaps:
        if iou >= 0.5 and i not in taken[0] and k not in taken[1]:
            taken[0].add(i)
            taken[1].add(k)
            yield iou, reference[i], other[k]


def landmark_distances(a, b):
    if not a["landmarks"] or not b["landmarks"]:
        return []
    eyes = max(math.dist(a["landmarks"][0], a["landmarks"][1]), a["box"][2] / 4)
    return [math.dist(p, q) / eyes for p, q in zip(a["landmarks"], b["landmarks"])]


def mean(values):
    return sum(values) / len(values) if values else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", required=True)
    parser.add_argument("precision", choices=["bf16", "int8"])
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    for folder in options.folders:
        paths = pictures_in(folder)
        fp32 = detect(paths, options.detector, "fp32")
        other = detect(paths, options.detector, options.precision)
        pairs = [pair for path in paths for pair in pairs_of(fp32[path], other[path])]
        distances = sorted(d for _, a, b in pairs for d in landmark_distances(a, b))
        print(f"{folder}: {len(paths)} pictures, {sum(map(len, fp32.values()))} faces in fp32, "
              f"{sum(map(len, other.values()))} in {options.precision}, {len(pairs)} in both, "
              f"IoU {mean([iou for iou, _, _ in pairs]):.4f}, "
              f"landmarks {100 * mean(distances):.2f} % mean, "
              f"{100 * distances[math.ceil(0.95 * len(distances)) - 1] if distances else 0:.2f} % 95th percentile, "
              f"scores {mean([abs(a['score'] - b['score']) for _, a, b in pairs]):.4f}")


if __name__ == "__main__":
    main()
