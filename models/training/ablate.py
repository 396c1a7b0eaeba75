#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Short runs that differ in one thing each, so that the long one is spent well.

usage: ablate.py --data DIR --teacher FILE --work DIR (--minutes M | --steps N) [--stop-after S] [-- options of train.py]

Each arm has its whole schedule in M minutes (or N steps) and ends with two numbers on held-out crops: 1 - cosine to the teacher, and the
share of held-out pairs that one threshold gets right. They stand in WORK/ablation.csv, the best first by distance. The same
command goes on after an interruption: finished arms are kept.
"""
import argparse
import csv
import json
import os
import sys
import time
import types

import teacher
import train

ARMS = [
    ("base", []),
    ("rate x2", ["--rate", "4e-3"]),
    ("rate /2", ["--rate", "1e-3"]),
    ("no margin", ["--margin", "0"]),
    ("margin x4", ["--margin", "2"]),
    ("targets of the crop as it is", ["--online", "0"]),
    ("targets of the moved crop, blends", ["--online", "1", "--mix", "0.75"]),
    ("weaker camera", ["--camera", "0.5"]),
]


def slug(name):
    return "".join(c if c.isalnum() else "-" for c in name)


class Arms:
    """Runs one after another, on the same data in memory."""

    def __init__(self):
        self.data = None

    def run(self, options, extra):
        """The arm's result, or None where it was stopped before its end."""
        trainer = train.Trainer(train.parse(options + extra), lambda text: None, self.data)
        if self.data is None:
            self.data = types.SimpleNamespace(**{name: getattr(trainer, name) for name in train.SHARED})
        summary = trainer.run()
        keys = ("held_out_distance", "held_out_pairs", "crops_per_second", "step")
        return {k: summary[k] for k in keys} if summary["done"] else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--stop-after", type=float, default=0, help="seconds after which no step is begun")
    parser.add_argument("--arms", type=int, default=len(ARMS), help="only the first so many")
    known, rest = parser.parse_known_args()
    began = time.monotonic()
    teacher.check_is_fr_feature(known.teacher)
    rest = [r for r in rest if r != "--"]
    results, path = {}, os.path.join(known.work, "ablation.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    finished, arms = True, Arms()
    for name, arm in ARMS[:known.arms]:
        if name in results:
            continue
        left = known.stop_after - (time.monotonic() - began)
        if known.stop_after and left <= 0:
            finished = False
            break
        options = ["--data", known.data, "--teacher", known.teacher, "--work", known.work, "--run",
                   os.path.join(known.work, "arm-" + slug(name)), "--minutes", str(known.minutes), "--steps", str(known.steps),
                   "--held-out-seconds", "1e9", "--save-seconds", "1e9", *(["--stop-after", str(left)] if known.stop_after else []), *rest]
        print(f"arm: {name} {' '.join(arm)}", flush=True)
        result = arms.run(options, arm)
        if result is None:
            finished = False
            break
        results[name] = {"options": " ".join(arm), **result}
        train.write_atomically(path, lambda file: file.write(json.dumps(results, indent=1).encode()))
        print(f"  {result}", flush=True)
        os.remove(os.path.join(known.work, "arm-" + slug(name), "state.pt"))  # 0.4 GB that nobody needs
    rows = sorted(({"arm": name, **result} for name, result in results.items()), key=lambda r: r["held_out_distance"] or 2)
    if rows:
        with open(os.path.join(known.work, "ablation.csv"), "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    sys.exit(0 if finished else 75)


if __name__ == "__main__":
    main()
