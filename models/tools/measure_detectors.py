#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tables of docs/detectors.md: every detector on labelled photographs, on hard variants of them, and on LFW.

  measure_detectors.py --data DIR [--detectors A,B] [--lfw-step N] [--json]

DIR holds photos/ (compreface with ground_truth.csv, no_faces, crowd, face_recognition) and lfw-dev/. A labelled face
is found when its nose lies in a box that no other labelled nose was given; boxes left over are false. Landmarks
are compared, as a share of the eyes' distance, with the median of all detectors' points of that face where three or
more have it (leaving the judged one out). It needs spherectl on the PATH, and OpenCV's Python (Debian: python3-opencv).
"""
import argparse
import csv
import glob
import json
import os
import subprocess
import tempfile

import cv2
import numpy as np


def spherectl(*arguments):
    done = subprocess.run(["spherectl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def detect(detector, files):
    images = []
    for i in range(0, len(files), 400):
        images += spherectl("detect", "--json", "--detector", detector, *files[i:i + 400])["images"]
    return [image["faces"] for image in images]


def labels(folder):
    with open(os.path.join(folder, "ground_truth.csv"), encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return {os.path.join(folder, r[0]): [tuple(map(float, p.split(":"))) for p in r[3].split()] for r in rows}


def match(faces, noses):
    """For each nose the index of its face or None; the others are false. Smallest boxes first."""
    order = sorted(range(len(faces)), key=lambda i: faces[i]["box"][2] * faces[i]["box"][3])
    found, used = [], set()
    for x, y in noses:
        inside = [i for i in order if i not in used and 0 <= x - faces[i]["box"][0] <= faces[i]["box"][2]
                  and 0 <= y - faces[i]["box"][1] <= faces[i]["box"][3]]
        found.append(inside[0] if inside else None)
        used.update(inside[:1])
    return found, len(faces) - len(used)


def points_of(face):
    return np.array(face["landmarks"]) if face["landmarks"] else None


def landmark_errors(truth, results):
    """detector -> median distance from the others' median, in eye distances"""
    errors = {d: [] for d in results}
    for path, noses in truth.items():
        per_nose = [{} for _ in noses]
        for detector, by_path in results.items():
            faces = by_path[path]
            for k, i in enumerate(match(faces, noses)[0]):
                if i is not None and faces[i]["landmarks"]:
                    per_nose[k][detector] = points_of(faces[i])
        for given in per_nose:
            for detector, points in given.items():
                others = [p for d, p in given.items() if d != detector]
                if len(others) < 3:
                    continue
                middle = np.median(others, axis=0)
                eyes = np.hypot(*(middle[1] - middle[0]))
                errors[detector].append(np.hypot(*(points - middle).T).mean() / eyes)
    return {d: float(np.median(e)) if e else None for d, e in errors.items()}


def variant(image, noses, kind, value):
    height, width = image.shape[:2]
    if kind == "rotated":
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), value, 1)
        c, s = abs(matrix[0, 0]), abs(matrix[0, 1])
        size = int(height * s + width * c), int(height * c + width * s)
        matrix[:, 2] += np.array(size) / 2 - np.array([width, height]) / 2
        return cv2.warpAffine(image, matrix, size), [tuple(matrix @ (x, y, 1)) for x, y in noses]
    if kind == "dark":
        return (image * value).astype(np.uint8), noses
    if kind == "noise":
        noise = np.random.default_rng(1).normal(0, value, image.shape)
        return np.clip(image * 0.3 + noise, 0, 255).astype(np.uint8), noses
    if kind == "shrunk":  # the face's nose-to-edge scale is unknown: by a factor
        small = cv2.resize(image, None, fx=value, fy=value, interpolation=cv2.INTER_AREA)
        canvas = np.full((480, 640, 3), 128, np.uint8)
        small = small[:480, :640]
        canvas[:small.shape[0], :small.shape[1]] = small
        return canvas, [(x * value, y * value) for x, y in noses]
    raise ValueError(kind)


def hard_sets(data, truth, folder):
    """name -> {path: noses}"""
    singles = {p: n for p, n in truth.items() if len(n) == 1}
    groups = {p: n for p, n in truth.items() if len(n) > 1}
    sets = {"as they are": truth}

    def make(name, source, kind, value):
        made = {}
        for path, noses in source.items():
            image, moved = variant(cv2.imread(path), noses, kind, value)
            target = os.path.join(folder, name.replace(" ", "_").replace("/", "_") + "_" + os.path.basename(path) + ".png")
            cv2.imwrite(target, image)
            made[target] = moved
        sets[name] = made

    for degrees in (15, 30, 45, 90, 180):
        make(f"rotated {degrees}", groups, "rotated", degrees)
    make("dark 1/4", groups, "dark", 0.25)
    make("dark 1/10", groups, "dark", 0.1)
    make("dark and noisy", groups, "noise", 12)
    boxes = detect("yunet-640", list(singles))
    for target in (32, 20, 12):
        made = {}
        for (path, noses), faces in zip(singles.items(), boxes):
            if not faces:
                continue
            factor = target / max(f["box"][3] for f in faces)
            image, moved = variant(cv2.imread(path), noses, "shrunk", factor)
            out = os.path.join(folder, f"tiny{target}_" + os.path.basename(path) + ".png")
            cv2.imwrite(out, image)
            made[out] = moved
        sets[f"{target} px high in 640x480"] = made
    made = {}
    for (path, noses), faces in zip(singles.items(), boxes):  # the face fills the picture
        if not faces:
            continue
        x, y, w, h = (int(v) for v in max(faces, key=lambda f: f["box"][3])["box"])
        image = cv2.imread(path)
        top, left = max(0, y - h // 12), max(0, x - w // 12)
        crop = image[top:y + h + h // 12, left:x + w + w // 12]
        factor = 900 / crop.shape[0]
        out = os.path.join(folder, "huge_" + os.path.basename(path) + ".png")
        cv2.imwrite(out, cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))
        made[out] = [((a - left) * factor, (b - top) * factor) for a, b in noses]
    sets["fills a picture 900 high"] = made
    return sets


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--detectors", default="")
    parser.add_argument("--lfw-step", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    listed = spherectl("models", "list", "--json")["models"]
    everyone = [m["name"] for m in listed if m["task"] == "detect" and m["installed"] and not m["name"].startswith("fake")]
    names = options.detectors.split(",") if options.detectors else everyone
    truth = labels(os.path.join(options.data, "photos/compreface"))
    empty = sorted(glob.glob(os.path.join(options.data, "photos/no_faces/*.jpg")))
    crowd = sorted(glob.glob(os.path.join(options.data, "photos/crowd/*.jpg")))
    lfw = sorted(glob.glob(os.path.join(options.data, "lfw-dev/*/*.jpg")))[::options.lfw_step]
    report = {d: {} for d in names}
    with tempfile.TemporaryDirectory() as folder:
        results = {d: dict(zip(truth, detect(d, list(truth)))) for d in dict.fromkeys(everyone + names)}
        errors = landmark_errors(truth, results)
        sets = hard_sets(options.data, truth, folder)
        for d in names:
            row = report[d]
            sheet = os.path.join(folder, "sheet.png")
            compared = spherectl("detect", "--json", "--detector", d, "--compare", sheet, *truth)["compared"]
            row["ms"] = float(np.median([c["ms"] for c in compared]))
            row["landmark error"] = errors[d]
            row["false in pictures without people"] = sum(map(len, detect(d, empty)))
            row["crowd"] = [len(f) for f in detect(d, crowd)]
            for name, made in sets.items():
                hits = false = 0
                for noses, faces in zip(made.values(), detect(d, list(made))):
                    found, extra = match(faces, noses)
                    hits += sum(i is not None for i in found)
                    false += extra
                row[name] = [hits, sum(map(len, made.values())), false]
            found = detect(d, lfw)
            row["lfw"] = {"pictures": len(lfw), "without a face": sum(not f for f in found)}
            missed = [p for p, f in zip(lfw, found)
                      if not any(0 <= 125 - g["box"][0] <= g["box"][2] and 0 <= 125 - g["box"][1] <= g["box"][3] for g in f)]
            row["lfw"]["middle face missed"] = len(missed)
            row["lfw"]["missed"] = [os.path.relpath(p, options.data) for p in missed[:10]]
            print(d, json.dumps(row), flush=True) if not options.json else None
    if options.json:
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
