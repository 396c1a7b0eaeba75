#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The outcome of pipelines/article.sh next to what the article printed."""
import argparse
import csv
import json
import os

# The article of October 2020, as its library still has them.
ARTICLE = {"cosine": 0.4668717384338379, "euclidean": 17.212238311767578}


def counts(path, threshold):
    table = {(same, accepted): 0 for same in (True, False) for accepted in (True, False)}
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            table[row["decision"].lower() == "yes", float(row["distance"]) <= threshold] += 1
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--official", choices=("yes", "no"), required=True)
    options = parser.parse_args()
    for metric, published in ARTICLE.items():
        with open(os.path.join(options.out, metric + ".json"), encoding="utf-8") as file:
            result = json.load(file)
        threshold = result["threshold"]
        table = counts(os.path.join(options.out, metric + ".csv"), threshold)
        print(f"{metric}: model {result['model']}, detector {result['detector']}, {result['pairs']} pairs "
              f"({result['same']} of the same person)")
        print(f"  C4.5 threshold {threshold:.6g}, gain ratio {result['gain_ratio']:.4f}, right {100 * result['accuracy']:.2f} %")
        print(f"  true positives {table[True, True]}, false negatives {table[True, False]}, "
              f"false positives {table[False, True]}, true negatives {table[False, False]}")
        if result["failed_images"]:
            print(f"  without a face: {', '.join(map(os.path.basename, result['failed_images']))}")
        if options.official == "yes":
            verdict = "repeated" if abs(threshold - published) <= 0.01 * published else "NOT repeated"
            print(f"  the article's threshold {published:.6g}: {verdict} (within 1 %)")
        else:
            print(f"  the article's threshold {published:.6g} is of its own weights, which are not here: no comparison")


if __name__ == "__main__":
    main()
