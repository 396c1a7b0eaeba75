#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a record of frames (schema sphere.frame/1) holds. usage: summary.py RECORD SECONDS"""

import collections
import json
import sys


def main():
    record, seconds = sys.argv[1], float(sys.argv[2])
    frames = with_faces = 0
    states = collections.Counter()
    people = collections.Counter()
    with open(record, encoding="utf-8") as lines:
        for line in lines:
            frame = json.loads(line)
            frames += 1
            with_faces += bool(frame["faces"])
            for face in frame["faces"]:
                states[face["state"]] += 1
                if face["match"]:
                    people[face["match"]["label"]] += 1
    print(f"frames   {frames}, {with_faces} of them with faces")
    others = "".join(f", {states[s]} {s}" for s in ("ambiguous", "unusable") if states[s])
    print(f"faces    {sum(states.values())}: {states['known']} known, {states['unknown']} unknown{others}")
    for label, count in sorted(people.items()):
        print(f"           {label}: {count}")
    print(f"speed    {frames / seconds:.1f} frames/s ({seconds:.1f} s, start-up, encoding and all)")


if __name__ == "__main__":
    main()
