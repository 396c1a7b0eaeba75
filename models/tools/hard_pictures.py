#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Pictures that are hard for a face detector, made of labelled photographs: the same ones at every run.

  hard_pictures.py --data DIR --out FOLDER [--sets tiny,dark]

DIR holds photos/ (compreface with ground_truth.csv, no_faces, crowd), lfw-dev/ and videos/. FOLDER gets the pictures
and truth.csv (set, file, noses as x:y). detector_truth.csv beside this file holds what the data's own labels do not:
the noses of three group photographs and of 40 turned heads of LFW, each looked at. A face's height is that of its
box by yunet-640, so spherectl has to be on the PATH. It needs OpenCV's Python (Debian: python3-opencv).
"""
import argparse
import csv
import glob
import json
import os
import subprocess

import cv2
import numpy as np

DEGREES = (0, 15, 30, 45, 60, 75, 90, 120, 150, 180)
DARKNESS = (0.25, 0.1, 0.05)
TINY_PX = (40, 32, 24, 20, 16, 12)
HUGE_PX = 900
EMPTY_FRAMES = 36
OWN_TRUTH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "detector_truth.csv")


def points(text):
    return [tuple(map(float, p.split(":"))) for p in text.split()]


def labels(data):
    """path -> noses, as CompreFace's photographs have them"""
    folder = os.path.join(data, "photos/compreface")
    with open(os.path.join(folder, "ground_truth.csv"), encoding="utf-8") as file:
        return {os.path.join(folder, r[0]): points(r[3]) for r in list(csv.reader(file))[1:]}


def own_truth(data, wanted):
    with open(OWN_TRUTH, encoding="utf-8") as file:
        return {os.path.join(data, r["file"]): points(r["noses"]) for r in csv.DictReader(file) if r["set"] == wanted}


def boxes_of(paths):
    """The largest face's box of each, by yunet-640"""
    done = subprocess.run(["spherectl", "detect", "--json", "--detector", "yunet-640", *paths], capture_output=True,
                          text=True, check=True)
    faces = [image["faces"] for image in json.loads(done.stdout)["images"]]
    return [max((f["box"] for f in found), key=lambda b: b[3], default=None) for found in faces]


def rotated(image, noses, degrees):
    """Turned counter-clockwise, the canvas grown so that nothing is cut"""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    c, s = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = round(height * s + width * c), round(height * c + width * s)
    matrix[:, 2] += np.array(size) / 2 - np.array([width, height]) / 2
    return cv2.warpAffine(image, matrix, size), [tuple(matrix @ (x, y, 1)) for x, y in noses]


def dark(image, noses, share):
    return (image * share).astype(np.uint8), noses


def noisy(image, noses, deviation):
    noise = np.random.default_rng(1).normal(0, deviation, image.shape)
    return np.clip(image * 0.3 + noise, 0, 255).astype(np.uint8), noses


def on_canvas(image, noses, factor):
    """Shrunk, in the corner of a grey picture of 640x480"""
    canvas = np.full((480, 640, 3), 128, np.uint8)
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)[:480, :640]
    canvas[:small.shape[0], :small.shape[1]] = small
    return canvas, [(x * factor, y * factor) for x, y in noses]


def filling(image, noses, box):
    """The face with a twelfth of its size about it, HUGE_PX high"""
    x, y, w, h = (int(v) for v in box)
    top, left = max(0, y - h // 12), max(0, x - w // 12)
    crop = image[top:y + h + h // 12, left:x + w + w // 12]
    factor = HUGE_PX / crop.shape[0]
    large = cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return large, [((a - left) * factor, (b - top) * factor) for a, b in noses]


def empty_pictures(data):
    """(name, picture): photographs and frames without a face"""
    for path in sorted(glob.glob(os.path.join(data, "photos/no_faces/*.jpg"))):
        yield os.path.basename(path), cv2.imread(path)
    video = cv2.VideoCapture(os.path.join(data, "videos/bottle-detection.mp4"))
    step = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // EMPTY_FRAMES
    for i in range(EMPTY_FRAMES * step):
        good, frame = video.read()
        if good and i % step == 0:
            yield f"bottles_{i:04d}", frame


class Maker:
    def __init__(self, data, out, only):
        self.data, self.out, self.only, self.rows = data, out, only, []
        os.makedirs(out, exist_ok=True)

    def add(self, name, file, image, noses):
        path = os.path.join(self.out, name.replace(" ", "_").replace("/", "-") + "__" + file + ".png")
        cv2.imwrite(path, image)
        self.rows.append((name, path, noses))

    def wants(self, kind):
        return not self.only or kind in self.only

    def every(self, name, truth, change, value):
        for path, noses in truth.items():
            self.add(name, os.path.basename(path), *change(cv2.imread(path), noses, value))

    def make(self):
        truth = labels(self.data)
        singles = {p: n for p, n in truth.items() if len(n) == 1}
        groups = {p: n for p, n in truth.items() if len(n) > 1}
        if self.wants("plain"):
            self.every("as they are", truth, lambda i, n, _: (i, n), None)
        for degrees in DEGREES if self.wants("rotated") else ():
            self.every(f"rotated {degrees}", groups, rotated, degrees)
        if self.wants("profile"):
            self.every("profile", own_truth(self.data, "profile"), lambda i, n, _: (i, n), None)
        for share in DARKNESS if self.wants("dark") else ():
            self.every(f"dark {share}", groups, dark, share)
        if self.wants("dark"):
            self.every("dark 0.3 and noisy", groups, noisy, 12)
        if self.wants("tiny") or self.wants("huge"):
            self.sizes(singles)
        if self.wants("crowd"):
            for path, noses in own_truth(self.data, "crowd").items():
                self.add(f"crowd of {len(noses)}", os.path.basename(path), cv2.imread(path), noses)
        for name, image in empty_pictures(self.data) if self.wants("empty") else ():
            self.add("no face", name, image, [])
        with open(os.path.join(self.out, "truth.csv"), "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("set", "file", "noses")] + [
                (name, os.path.basename(path), " ".join(f"{x:.1f}:{y:.1f}" for x, y in noses))
                for name, path, noses in self.rows])
        return self.rows

    def sizes(self, singles):
        known = [(p, n, b) for (p, n), b in zip(singles.items(), boxes_of(list(singles))) if b]
        for height in TINY_PX if self.wants("tiny") else ():
            for path, noses, box in known:
                self.add(f"tiny {height} px", os.path.basename(path), *on_canvas(cv2.imread(path), noses, height / box[3]))
        for path, noses, box in known if self.wants("huge") else ():
            self.add(f"huge {HUGE_PX} px", os.path.basename(path), *filling(cv2.imread(path), noses, box))


def make(data, out, only=()):
    """[(set, path, noses)]"""
    return Maker(data, out, only).make()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--sets", default="", help="plain,rotated,profile,dark,tiny,huge,crowd,empty (default: all)")
    options = parser.parse_args()
    rows = make(options.data, options.out, [s for s in options.sets.split(",") if s])
    print(f"{len(rows)} pictures of {len({r[0] for r in rows})} sets in {options.out}")


if __name__ == "__main__":
    main()
