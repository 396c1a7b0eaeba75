#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Pairs of pictures with their distance: the wrong ones first, then the right ones nearest to the threshold. A line a kind
says how many there are and how many are shown, so that an absent kind is seen to be empty."""
import argparse
import csv
import json

import cv2
import numpy

SIDE, CAPTION, COLUMNS = 150, 22, 4
COLOURS = {"true positive": (60, 160, 60), "false positive": (40, 40, 220), "false negative": (30, 140, 240)}


def read_pairs(path, threshold):
    """kind -> [(distance, file_x, file_y)]"""
    kinds = {kind: [] for kind in COLOURS}
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            distance, same = float(row["distance"]), row["decision"].lower() == "yes"
            accepted = distance <= threshold
            if same or accepted:  # a true negative is no picture's business
                kind = "true positive" if same and accepted else "false negative" if same else "false positive"
                kinds[kind].append((distance, row["file_x"], row["file_y"]))
    return kinds


def thumbnail(path):
    picture = cv2.imread(path)
    if picture is None:
        return numpy.full((SIDE, SIDE, 3), 128, numpy.uint8)
    scale = SIDE / min(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (small.shape[0] - SIDE) // 4, (small.shape[1] - SIDE) // 2  # faces are rather at the top
    return numpy.ascontiguousarray(small[top:top + SIDE, left:left + SIDE])


def tile(kind, distance, files):
    picture = numpy.full((SIDE + CAPTION + 6, 2 * SIDE + 6, 3), 255, numpy.uint8)
    for i, file in enumerate(files):
        thumb = thumbnail(file)
        picture[CAPTION:CAPTION + thumb.shape[0], i * SIDE:i * SIDE + thumb.shape[1]] = thumb
    cv2.rectangle(picture, (0, 0), (2 * SIDE, CAPTION - 2), COLOURS[kind], -1)
    cv2.putText(picture, f"{kind} {distance:.4f}", (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def heading(kind, shown, count):
    strip = numpy.full((28, COLUMNS * (2 * SIDE + 6), 3), 255, numpy.uint8)
    words = f"{kind}s: {count or 'none'}" + (f", the {shown} nearest to the threshold" if shown < count else "")
    cv2.putText(strip, words, (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, COLOURS[kind], 1, cv2.LINE_AA)
    return strip


def rows_of(tiles):
    blank = numpy.full((SIDE + CAPTION + 6, 2 * SIDE + 6, 3), 255, numpy.uint8)
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    return [numpy.hstack(tiles[i:i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", required=True, help="what spherectl calibrate --json printed")
    parser.add_argument("--distances", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--most", type=int, default=20, help="tiles of a kind")
    options = parser.parse_args()
    with open(options.result, encoding="utf-8") as file:
        threshold = json.load(file)["threshold"]
    kinds = read_pairs(options.distances, threshold)
    rows = []
    for kind in ("false positive", "false negative", "true positive"):
        shown = sorted(kinds[kind], key=lambda row: abs(row[0] - threshold))[:options.most]
        rows.append(heading(kind, len(shown), len(kinds[kind])))
        rows += rows_of([tile(kind, distance, files) for distance, *files in shown])
    if not cv2.imwrite(options.out, numpy.vstack(rows)):
        raise SystemExit(f"cannot write {options.out}")


if __name__ == "__main__":
    main()
