#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures exported weights: LFW protocol, a threshold, what int8 loses, and groups of people that the training data tell apart.

usage: evaluate.py --model DIR --shared DIR --out REPORT.json [--detector yunet-320] [--data DIR] [--limit N]

DIR is what export.py wrote; --shared holds data/lfw-dev and data/deepface-unit; spherectl is the one on PATH. lfw-dev only reports: the
threshold is fitted on deepface-unit, weights are chosen on people held out of the training data. With --data (the training
crops) the held-out pairs are judged a data set at a time, by one threshold for all, and int8 is calibrated on
held-out crops. Needs numpy and cv2.
"""
import argparse
import csv
import datetime
import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy

import architecture
import data
import export
import release


def spherectl(*arguments):
    done = subprocess.run(["spherectl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"spherectl {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def evaluate(descriptor, lfw, detector, *options):
    return spherectl("eval", "--json", "--model", descriptor, "--detector", detector, "--pairs", os.path.join(lfw, "pairs-dev.txt"),
                     "--images", lfw, "--flip", "concat", *options)


def unit_pairs(unit, out):
    """Both tables of deepface-unit as one CSV with base names: the 580 pairs that the other thresholds were fitted on."""
    with open(out, "w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(("file_x", "file_y", "decision"))
        for name in ("master.csv", "face-recognition-pivot.csv"):
            with open(os.path.join(unit, name), encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    row = {k.strip().lower(): v.strip() for k, v in row.items() if k}
                    writer.writerow((os.path.basename(row["file_x"]), os.path.basename(row["file_y"]), row["decision"]))


def at_threshold(descriptor, lfw, detector, threshold, folder):
    """Shares of LFW's same and different pairs that the fitted threshold accepts."""
    path = os.path.join(folder, "distances.csv")
    spherectl("calibrate", "--json", "--model", descriptor, "--detector", detector, "--pairs", os.path.join(lfw, "pairs-dev.txt"),
              "--images", lfw, "--flip", "concat", "--engine", "opencv", "--precision", "fp32", "--distances", path)
    with open(path, encoding="utf-8", newline="") as file:
        rows = [{k.lower(): v for k, v in row.items()} for row in csv.DictReader(file)]
    same = numpy.array([row["decision"].lower() == "yes" for row in rows])
    accepted = numpy.array([float(row["distance"]) <= threshold for row in rows])
    return {"true_accepts": float(accepted[same].mean()), "false_accepts": float(accepted[~same].mean())}


def embed(net, crops):
    """Crop and mirror side by side, of unit length."""
    rows = []
    for crop in crops:
        middle = numpy.ascontiguousarray(crop[:, data.LEFT:data.LEFT + architecture.WIDTH])
        both = []
        for picture in (middle, middle[:, ::-1]):
            net.setInput(cv2.dnn.blobFromImage(picture, architecture.SCALE, None, (architecture.MEAN,) * 3, swapRB=False))
            both.append(net.forward("fc5").ravel().copy())
        rows.append(numpy.concatenate(both))
    rows = numpy.stack(rows)
    return rows / numpy.maximum(numpy.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def best_threshold(distance, same):
    order = numpy.argsort(distance, kind="stable")
    hits = numpy.cumsum(numpy.where(same[order], 1, -1))
    return float(distance[order[int(hits.argmax())]])


def groups(net, crops, split):
    """{data set: {pairs, right, true_accepts, false_accepts}} of held-out pairs, by one threshold over all of them."""
    used = numpy.unique(split.pairs)
    if not len(used):
        return {}
    rows = dict(zip(used.tolist(), embed(net, crops[used])))
    distance = numpy.array([1 - rows[a] @ rows[b] for a, b in split.pairs.tolist()])
    threshold = best_threshold(distance, split.same)
    of_pair = split.index["dataset"][split.pairs[:, 0]]
    found = {"threshold": threshold}
    for number in [None, *numpy.unique(of_pair)]:
        mine = of_pair == number if number is not None else numpy.ones(len(distance), bool)
        accepted, same = distance[mine] <= threshold, split.same[mine]
        found["all" if number is None else split.index["datasets"][number]] = {
            "pairs": int(mine.sum()), "right": float((accepted == same).mean()),
            "true_accepts": float(accepted[same].mean()) if same.any() else None,
            "false_accepts": float(accepted[~same].mean()) if (~same).any() else None}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--detector", default="yunet-320")
    parser.add_argument("--data", help="training crops: held-out people and int8's calibration")
    parser.add_argument("--limit", type=int, default=0, help="as train.py had it")
    options = parser.parse_args()
    lfw, unit = (os.path.join(options.shared, "data", name) for name in ("lfw-dev", "deepface-unit"))
    with open(os.path.join(options.model, "provenance.json"), encoding="utf-8") as file:
        facts = json.load(file)
    report = {"date": datetime.date.today().isoformat(), "detector": options.detector, **facts}
    with tempfile.TemporaryDirectory() as folder:
        descriptor = release.write_descriptor(options.model, facts, None, "")
        report["lfw"] = evaluate(descriptor, lfw, options.detector, "--engine", "opencv", "--precision", "fp32")
        print(f"lfw-dev: {report['lfw']['accuracy']:.4f} ± {report['lfw']['accuracy_se']:.4f}", flush=True)
        pairs = os.path.join(folder, "unit.csv")
        unit_pairs(unit, pairs)
        report["calibration"] = spherectl("calibrate", "--json", "--model", descriptor, "--detector", options.detector, "--pairs", pairs,
                                          "--images", unit, "--flip", "concat", "--engine", "opencv", "--precision", "fp32")
        threshold = report["calibration"]["threshold"]
        print(f"deepface-unit: threshold {threshold:.4f}, {report['calibration']['accuracy']:.4f} right", flush=True)
        report["at_threshold"] = at_threshold(descriptor, lfw, options.detector, threshold, folder)
        pictures, aligned = unit, []
        if options.data:
            index = data.read_index(options.data, options.limit)
            split = data.Split(index)
            crops = data.load_crops(options.data, folder, index, options.limit)
            net = cv2.dnn.readNetFromCaffe(*(os.path.join(options.model, export.NAME + end) for end in (".prototxt", ".caffemodel")))
            report["groups"] = groups(net, crops, split)
            pictures, aligned = os.path.join(folder, "held-out"), ["--aligned"]
            os.mkdir(pictures)
            for n in split.held[:128]:
                cv2.imwrite(os.path.join(pictures, f"{n}.png"), crops[n])
        try:
            report["quantize"] = spherectl("quantize", "--json", "--model", descriptor, "--detector", options.detector, "--images",
                                           pictures, *aligned)
            small = evaluate(descriptor, lfw, options.detector, "--engine", "onednn", "--precision", "int8")
            lost = round((report["lfw"]["accuracy"] - small["accuracy"]) * small["pairs"])
            report["int8"] = {"accuracy": small["accuracy"], "pairs_lost": lost}
            print(f"int8: {lost} of {small['pairs']} pairs lost", flush=True)
        except SystemExit as error:
            report["int8"] = {"error": str(error)}
            print(f"int8 was not measured: {error}", file=sys.stderr)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    found = release.objections(report, options.model)
    print("may be released" if not found else "may not be released: " + "; ".join(found))


if __name__ == "__main__":
    main()
