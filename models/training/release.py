#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts measured weights into models/, if they passed the bar; refuses otherwise.

usage: release.py --model DIR --report REPORT.json [--models DIR]

DIR holds what export.py wrote, REPORT.json what evaluate.py measured of these very files. Copies the weights and the graph,
writes the descriptor with sizes, hashes and the fitted threshold, and allows `auto` to take it. The bar: at least 98.0 % on
lfw-dev with flip=concat, and at most two pairs lost in int8.
"""
import argparse
import json
import os
import shutil

import architecture
import export

ACCURACY, PAIRS_LOST = 0.98, 2


def write_descriptor(folder, facts, threshold, source, may_be_default=False):
    """The descriptor of the files in `folder`, beside them. `facts` as export.export() gave them. Returns its path."""
    with open(os.path.join(architecture.ROOT, "models", "training", "descriptor.json"), encoding="utf-8") as file:
        descriptor = json.load(file)
    known = {entry["name"]: entry for entry in facts["files"]}
    for entry in descriptor["files"]:
        entry.update(bytes=known[entry["name"]]["bytes"], sha256=known[entry["name"]]["sha256"])
    descriptor["may_be_default"] = may_be_default
    if threshold is not None:
        descriptor["metrics"] = {"cosine": {"threshold": threshold, "source": source}}
    path = os.path.join(folder, export.NAME + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(descriptor, file, indent=2)
        file.write("\n")
    return path


def objections(report, folder):
    """Why these weights may not be shipped; empty if they may."""
    found = []
    weights = next(f for f in report["files"] if f["name"].endswith(".caffemodel"))
    if export.sha256(os.path.join(folder, weights["name"])) != weights["sha256"]:
        found.append("the report is of other weights")
    if report["lfw"]["pairs"] != 1200 or report["lfw"]["flip"] != "concat":
        found.append("lfw-dev was not measured whole, with flip=concat")
    if report["lfw"]["accuracy"] < ACCURACY:
        found.append(f"accuracy on lfw-dev is {report['lfw']['accuracy']:.4f}, less than {ACCURACY}")
    lost = report.get("int8", {}).get("pairs_lost")
    if lost is None or lost > PAIRS_LOST:
        found.append(f"int8 loses {lost} pairs" if lost is not None else "int8 was not measured")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--models", default=os.path.join(architecture.ROOT, "models"))
    options = parser.parse_args()
    with open(options.report, encoding="utf-8") as file:
        report = json.load(file)
    found = objections(report, options.model)
    if found:
        raise SystemExit("not released: " + "; ".join(found))
    for entry in report["files"]:
        shutil.copy(os.path.join(options.model, entry["name"]), options.models)
    unit = report["calibration"]
    source = (f"models/training/evaluate.py, C4.5 (gain ratio) on {unit['pairs']} pairs of deepface-unit ({unit['same']} same; "
              f"{100 * unit['accuracy']:.2f} % right), {report['detector']} alignment, {report['date']}; on LFW folds 1-2 it accepts "
              f"{100 * report['at_threshold']['false_accepts']:.2f} % of different and "
              f"{100 * report['at_threshold']['true_accepts']:.2f} % of same pairs")
    print(write_descriptor(options.models, report, unit["threshold"], source, may_be_default=True))


if __name__ == "__main__":
    main()
