#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Fits a recogniser's cosine threshold to labelled pairs, and measures it on LFW pairs.

This is how the thresholds in models/*.json were found; `spherectl calibrate` does the same from within the
product. It needs OpenCV's Python (Debian: python3-opencv) and nothing else.

  fit_threshold.py --descriptor models/fr_feature.json --weights fr_feature.onnx --yunet yunet_n_640_640.onnx
      --images DIR --pairs master.csv --pairs pivot.csv [--flip none concat sum]
      [--lfw DIR --lfw-pairs pairs.txt] [--lfw-yunet FILE] [--limit N] [--json]

Pairs are CSV with the columns file_x, file_y and decision (Yes or No; any case); only base names are used. In a
picture with several faces the largest counts for --pairs and the one nearest to the centre for --lfw.

The split is C4.5's (Quinlan 1993): of all mid-points between neighbouring distances, the one with the largest gain
ratio among those whose information gain is at least the mean gain. Without that guard the ratio prefers to cut off
a single pair at an end. `unguarded` in the output is the split without it.
"""
import argparse
import csv
import datetime
import json
import math
import os
import sys

import cv2
import numpy as np

TEMPLATES = {
    "sphereface-112x96": [[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]],
    "arcface-112x112": [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
}


class Yunet:
    """Boxes and five landmarks by YuNet (strides 8, 16, 32), the picture letterboxed into the net's square."""

    def __init__(self, path, threshold=0.6, nms=0.3):
        self.net = cv2.dnn.readNetFromONNX(path)
        self.names = self.net.getUnconnectedOutLayersNames()
        self.side = 320 if "320" in os.path.basename(path) else 640
        self.threshold, self.nms = threshold, nms

    def __call__(self, bgr):
        side = self.side
        scale = min(side / bgr.shape[1], side / bgr.shape[0])
        size = [max(1, round(n * scale)) for n in bgr.shape[1::-1]]
        canvas = np.zeros((side, side, 3), np.uint8)
        canvas[:size[1], :size[0]] = cv2.resize(bgr, size)
        self.net.setInput(cv2.dnn.blobFromImage(canvas))
        outputs = dict(zip(self.names, self.net.forward(self.names)))
        rows = []
        for stride in (8, 16, 32):
            n = side // stride
            cls, obj, box, kps = (outputs[f"{k}_{stride}"].reshape(n * n, -1) for k in ("cls", "obj", "bbox", "kps"))
            score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
            for i in np.flatnonzero(score >= self.threshold):
                cell = np.float32([i % n, i // n])
                centre, wh = (cell + box[i, :2]) * stride, np.exp(box[i, 2:]) * stride
                points = (cell + kps[i].reshape(5, 2)) * stride
                rows.append((np.concatenate([centre - wh / 2, wh]) / scale, points / scale, float(score[i])))
        kept = cv2.dnn.NMSBoxes([r[0].tolist() for r in rows], [r[2] for r in rows], self.threshold, self.nms) if rows else []
        return [rows[i] for i in np.array(kept, int).reshape(-1)]


def similarity(src, dst):
    """The least-squares similarity, 2x3, that takes src to dst (Umeyama 1991, equations 34 to 43)."""
    src, dst = np.float64(src), np.float64(dst)
    mean_s, mean_d = src.mean(0), dst.mean(0)
    s, d = src - mean_s, dst - mean_d
    u, singular, vt = np.linalg.svd(d.T @ s / len(src))
    sign = np.array([1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    factor = (singular * sign).sum() / s.var(0).sum()
    return np.hstack([factor * rotation, (mean_d - factor * rotation @ mean_s)[:, None]])


class Recogniser:
    """A network with the preprocessing that its descriptor states."""

    def __init__(self, descriptor, weights, graph=None):
        self.net = cv2.dnn.readNet(graph, weights) if graph else cv2.dnn.readNet(weights)
        self.input = descriptor["input"]
        self.template = TEMPLATES[descriptor["template"]]

    def crop(self, bgr, points):
        return cv2.warpAffine(bgr, similarity(points, self.template), (self.input["width"], self.input["height"]))

    def raw(self, crop):
        pixels = crop[:, :, ::-1] if self.input.get("order") == "RGB" else crop
        mean, scale = np.float32(self.input.get("mean", 0)), np.float32(self.input.get("scale", 1))
        blob = ((pixels.astype(np.float32) - mean) * scale).transpose(2, 0, 1)[None]
        self.net.setInput(np.ascontiguousarray(blob))
        return self.net.forward().reshape(-1).copy()

    def both(self, crop):
        """The embeddings of the crop and of its mirror image."""
        return self.raw(crop), self.raw(crop[:, ::-1])


def combine(pair, flip):
    return {"none": pair[0], "concat": np.concatenate(pair), "sum": pair[0] + pair[1]}[flip]


def cosine_distance(a, b):
    return 1 - float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def choose(faces, shape, rule):
    if rule == "largest":
        return max(faces, key=lambda f: f[0][2] * f[0][3])
    centre = np.float32([shape[1] / 2, shape[0] / 2])
    return min(faces, key=lambda f: float(np.linalg.norm(f[0][:2] + f[0][2:] / 2 - centre)))


def embed_all(paths, detector, recogniser, rule):
    """{path: (embedding, mirrored)} and the pictures without a face."""
    found, failed = {}, []
    for path in sorted(paths):
        picture = cv2.imread(path)
        faces = detector(picture) if picture is not None else []
        if faces:
            found[path] = recogniser.both(recogniser.crop(picture, choose(faces, picture.shape, rule)[1]))
        else:
            failed.append(path)
    return found, failed


def entropy(yes, no):
    total = yes + no
    return -sum(n / total * math.log2(n / total) for n in (yes, no) if n)


def c45_split(distances, same):
    """(threshold, gain, gain ratio) of the best single split, guarded and unguarded."""
    order = np.argsort(distances, kind="stable")
    d, s = np.asarray(distances)[order], np.asarray(same)[order]
    yes_total, n = int(s.sum()), len(s)
    yes_left = np.cumsum(s)
    candidates = []
    for i in np.flatnonzero(d[1:] > d[:-1]):
        left, yes = i + 1, int(yes_left[i])
        right = n - left
        after = left / n * entropy(yes, left - yes) + right / n * entropy(yes_total - yes, right - yes_total + yes)
        gain = entropy(yes_total, n - yes_total) - after
        candidates.append(((d[i] + d[i + 1]) / 2, gain, gain / entropy(left, right)))
    mean = sum(c[1] for c in candidates) / len(candidates)
    return (max((c for c in candidates if c[1] >= mean), key=lambda c: c[2]), max(candidates, key=lambda c: c[2]))


def figures(distances, same, threshold):
    accept, same = np.asarray(distances) <= threshold, np.asarray(same, bool)
    return {"accuracy": float((accept == same).mean()), "far": float(accept[~same].mean()), "tar": float(accept[same].mean())}


def read_csv_pairs(path, images):
    with open(path, newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            row = {k.strip().lower(): v.strip() for k, v in row.items() if k}
            x, y = (os.path.join(images, os.path.basename(row[k])) for k in ("file_x", "file_y"))
            yield x, y, row["decision"].lower() == "yes"


def read_lfw_pairs(path, root):
    with open(path, encoding="utf-8") as file:
        for fields in (line.split() for line in list(file)[1:]):
            name = lambda person, i: os.path.join(root, person, f"{person}_{int(i):04d}.jpg")
            if len(fields) == 3:
                yield name(fields[0], fields[1]), name(fields[0], fields[2]), True
            elif len(fields) == 4:
                yield name(fields[0], fields[1]), name(fields[2], fields[3]), False


def distances_of(pairs, embedded, flip):
    kept = [(x, y, s) for x, y, s in pairs if x in embedded and y in embedded]
    cosines = [cosine_distance(combine(embedded[x], flip), combine(embedded[y], flip)) for x, y, _ in kept]
    return np.array(cosines), np.array([s for _, _, s in kept])


def best_accuracy(distances, same):
    return max(((figures(distances, same, t)["accuracy"], float(t)) for t in distances))


def cross_validated(distances, same, folds=10):
    """Accuracy with the threshold chosen on the other folds (same and different pairs dealt out in turn)."""
    fold = np.empty(len(same), int)
    for label in (True, False):
        fold[same == label] = np.arange((same == label).sum()) % folds
    scores = []
    for f in range(folds):
        cut = best_accuracy(distances[fold != f], same[fold != f])[1]
        scores.append(figures(distances[fold == f], same[fold == f], cut)["accuracy"])
    return float(np.mean(scores)), float(np.std(scores) / math.sqrt(folds))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a = ap.add_argument
    a("--descriptor", required=True); a("--weights", required=True); a("--graph")
    a("--yunet", required=True, help="detector for --pairs"); a("--lfw-yunet", help="detector for --lfw (default: the same)")
    a("--images"); a("--pairs", action="append", default=[])
    a("--flip", nargs="+", choices=("none", "concat", "sum"), default=["none"])
    a("--lfw"); a("--lfw-pairs"); a("--limit", type=int, default=0, help="each Nth LFW pair only, to save time")
    a("--json", action="store_true", help="one JSON document, nothing else")
    o = ap.parse_args()
    if bool(o.pairs) != bool(o.images) or bool(o.lfw) != bool(o.lfw_pairs):
        ap.error("--pairs goes with --images, --lfw with --lfw-pairs")
    with open(o.descriptor, encoding="utf-8") as file:
        descriptor = json.load(file)
    recogniser = Recogniser(descriptor, o.weights, o.graph)
    report = {"model": descriptor["name"], "date": datetime.date.today().isoformat(), "flips": {}}

    pairs = [p for path in o.pairs for p in read_csv_pairs(path, o.images)]
    fit, failed = embed_all({f for p in pairs for f in p[:2]}, Yunet(o.yunet), recogniser, "largest")
    lfw = list(read_lfw_pairs(o.lfw_pairs, o.lfw))[::o.limit or 1] if o.lfw else []
    test, lfw_failed = embed_all({f for p in lfw for f in p[:2]}, Yunet(o.lfw_yunet or o.yunet, 0.5), recogniser, "centre")
    report["failed_images"] = [os.path.basename(f) for f in failed + lfw_failed]

    for flip in o.flip:
        entry = report["flips"][flip] = {}
        threshold = descriptor["metrics"]["cosine"]["threshold"]
        if pairs:
            distances, same = distances_of(pairs, fit, flip)
            (threshold, gain, ratio), unguarded = c45_split(distances, same)
            entry["fit"] = {"pairs": len(same), "same": int(same.sum()), "threshold": threshold, "gain": gain, "gain_ratio": ratio,
                            "unguarded": unguarded[0], **figures(distances, same, threshold),
                            "largest_same": float(distances[same].max()), "smallest_different": float(distances[~same].min())}
            for path in o.pairs:
                d, s = distances_of(list(read_csv_pairs(path, o.images)), fit, flip)
                entry["fit"][os.path.basename(path)] = {"pairs": len(s), "threshold": c45_split(d, s)[0][0], **figures(d, s, threshold)}
        if lfw:
            distances, same = distances_of(lfw, test, flip)
            cv_mean, cv_error = cross_validated(distances, same)
            best = best_accuracy(distances, same)
            entry["lfw"] = {"pairs": len(same), "threshold": threshold, **figures(distances, same, threshold),
                            "best_accuracy": best[0], "best_threshold": best[1], "cross_validated": cv_mean, "standard_error": cv_error,
                            "far_0.1%_threshold": float(np.quantile(distances[~same], 0.001)),
                            "far_1%_threshold": float(np.quantile(distances[~same], 0.01))}
    json.dump(report, sys.stdout, indent=None if o.json else 2)
    print()


if __name__ == "__main__":
    main()
