#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Open-set identification over many random splits of a folder with a sub-folder a person, from embeddings that
`spherectl represent` wrote. One split tells shares of 150 probes to about two points; many tell their mean and spread.

Landmarks and mirror images as `spherectl enrol` and `find` take them:

  cd FOLDER; find . -name "*.jpg" | sort | xargs spherectl represent --landmark-model fr_landmark --flip sum --npy F.npy
  open_set_splits.py F.npy [--people 150] [--pictures 1] [--strangers 300] [--threshold 0.58] [--margin 0.05]
      [--splits 60]

Enrolled are random pictures of random people, probes another picture of each, strangers a picture each of random
others. Of several faces in a picture the largest is enrolled and the one nearest to the centre looked for. A margin is
that of spherematch: to the second person. Needs NumPy (Debian: python3-numpy).
"""
import argparse
import collections
import os

import numpy as np


def read_faces(path, centre):
    """(unit embeddings, {person: [(row enrolled, row looked for) of each picture]})"""
    rows = np.load(path).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pictures = collections.defaultdict(list)
    with open(path + ".tsv", encoding="utf-8") as table:
        for row, line in enumerate(table):
            picture, _, box = line.rstrip("\n").split("\t")
            x, y, w, h = map(float, box.split(","))
            pictures[picture].append((row, w * h, (x + w / 2 - centre) ** 2 + (y + h / 2 - centre) ** 2))
    people = collections.defaultdict(list)
    for picture, faces in sorted(pictures.items()):
        people[os.path.basename(os.path.dirname(picture))].append(
            (max(faces, key=lambda f: f[1])[0], min(faces, key=lambda f: f[2])[0]))
    return rows, people


def decide(rows, enrolled, probes, threshold, margin):
    """The person that each probe is named as, -1 for none."""
    distances = np.min([1 - rows[probes] @ rows[[faces[j] for faces in enrolled]].T for j in range(len(enrolled[0]))], 0)
    two = np.sort(distances, axis=1)[:, :2]
    known = (two[:, 0] <= threshold) & (two[:, 1] - two[:, 0] >= margin)
    return np.where(known, distances.argmin(1), -1)


def measure(rows, people, options, random):
    """Shares of strangers named, of probes named rightly and wrongly."""
    names = [name for name, pictures in people.items() if len(pictures) > options.pictures]
    random.shuffle(names)
    names = names[:options.people]
    chosen = [[people[name][i] for i in random.permutation(len(people[name]))] for name in names]
    enrolled = [[picture[0] for picture in pictures[:options.pictures]] for pictures in chosen]
    others = [name for name in people if name not in set(names)]
    random.shuffle(others)
    strangers = [people[name][random.integers(len(people[name]))][1] for name in others[:options.strangers]]
    found = decide(rows, enrolled, [pictures[options.pictures][1] for pictures in chosen], options.threshold, options.margin)
    right = found == np.arange(len(names))
    named = decide(rows, enrolled, strangers, options.threshold, options.margin) >= 0
    return named.mean(), right.mean(), ((found >= 0) & ~right).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces")
    for name, value in (("people", 150), ("pictures", 1), ("strangers", 300), ("splits", 60), ("threshold", 0.58),
                        ("margin", 0.05), ("centre", 125.0)):
        parser.add_argument("--" + name, type=type(value), default=value)
    options = parser.parse_args()
    rows, people = read_faces(options.faces, options.centre)
    shares = 100 * np.array([measure(rows, people, options, np.random.default_rng(seed)) for seed in range(options.splits)])
    for what, column in zip(("strangers named", "people identified", "named wrongly"), shares.T):
        print(f"{what}: mean {column.mean():.2f} %, standard deviation {column.std():.2f}, "
              f"{column.min():.2f} to {column.max():.2f} of {options.splits} splits")


if __name__ == "__main__":
    main()
