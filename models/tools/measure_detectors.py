#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tables of docs/detectors.md: every detector on labelled photographs, on hard variants of them, and on LFW.

  measure_detectors.py --data DIR [--detectors A,B] [--sets tiny,dark] [--lfw-step N (0: none)] [--json FILE]

DIR is that of hard_pictures.py. A labelled face is found when its nose lies in a box that no other labelled nose was
given; boxes left over are false. Landmarks are compared, as a share of the eyes' distance, with the median of what
three or more other networks say of that face (a network that serves several detectors counts once, and the judged one
not at all). The time is processor time of one thread for one of CompreFace's eight group photographs (800x533), less
what reading it costs: what other programs do to the clock does not count. --sets none measures it alone. It needs
spherectl on the PATH, and OpenCV's Python (Debian: python3-opencv).
"""
import argparse
import glob
import json
import os
import resource
import subprocess
import tempfile

import numpy as np

import hard_pictures

MIDDLE_PX = 125  # of LFW's 250x250, where the person is
LANDMARKS_BY = {"yunet-320": "yunet", "yunet-640": "yunet", "scrfd-500m": "scrfd", "scrfd-2.5g": "scrfd",
                "retinaface": "retinaface", "retinaface-dyn": "retinaface", "haar": "fr_landmark",
                "ultralight": "fr_landmark", "opencv-ssd": "fr_landmark"}  # others: by their own


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


def processor_ms(detector, files):
    """A picture's share of what thrice the pictures cost more than once: loading the model falls out"""

    def seconds(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        spherectl("detect", "--json", "--threads", "1", "--detector", detector, *files * times)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return (seconds(3) - seconds(1)) * 1000 / (2 * len(files))


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


def landmark_errors(truth, results):
    """detector -> (median distance from what others say, in eye distances; number of faces)"""
    errors = {d: [] for d in results}
    for path, noses in truth.items():
        said = [{} for _ in noses]
        for detector, by_path in results.items():
            for k, i in enumerate(match(by_path[path], noses)[0]):
                if i is not None and by_path[path][i]["landmarks"]:
                    said[k][detector] = np.array(by_path[path][i]["landmarks"])
        for given in said:
            networks = {}
            for detector, points in given.items():
                networks.setdefault(LANDMARKS_BY.get(detector, detector), []).append(points)
            for detector, points in given.items():
                own = LANDMARKS_BY.get(detector, detector)
                others = [np.median(p, axis=0) for network, p in networks.items() if network != own]
                if len(others) < 3:
                    continue
                middle = np.median(others, axis=0)
                errors[detector].append(np.hypot(*(points - middle).T).mean() / np.hypot(*(middle[1] - middle[0])))
    return {d: (float(np.median(e)), len(e)) if e else None for d, e in errors.items()}


def lfw_row(pictures, found, data):
    def holds(face):
        x, y, w, h = face["box"]
        return 0 <= MIDDLE_PX - x <= w and 0 <= MIDDLE_PX - y <= h

    missed = [p for p, faces in zip(pictures, found) if not any(map(holds, faces))]
    return {"pictures": len(pictures), "without a face": sum(not f for f in found), "middle face missed": len(missed),
            "other boxes": sum(map(len, found)) - len(pictures) + len(missed),
            "missed": [os.path.relpath(p, data) for p in missed]}


def markdown(report):
    names = list(report)
    sets = list(next(iter(report.values()))["sets"])
    width = max(map(len, sets), default=0)
    print("| found / labelled (+ false) | " + " | ".join(f"`{n}`" for n in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for name in sets:
        cells = []
        for d in names:
            hits, all_of_them, false = report[d]["sets"][name]
            cells.append((f"{hits}/{all_of_them}" if all_of_them else "") + (f" +{false}" if false or not all_of_them else ""))
        print(f"| {name:{width}} | " + " | ".join(cells) + " |")
    for d in names:
        row = {k: v for k, v in report[d].items() if k != "sets"}
        print(f"{d}: {json.dumps(row)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--detectors", default="")
    parser.add_argument("--sets", default="")
    parser.add_argument("--lfw-step", type=int, default=1)
    parser.add_argument("--json", default="", help="writes the numbers there too")
    options = parser.parse_args()
    listed = spherectl("models", "list", "--json")["models"]
    everyone = [m["name"] for m in listed if m["task"] == "detect" and m["installed"] and not m["name"].startswith("fake")]
    names = options.detectors.split(",") if options.detectors else everyone
    truth = hard_pictures.labels(options.data)
    lfw = sorted(glob.glob(os.path.join(options.data, "lfw-dev/*/*.jpg")))[::options.lfw_step] if options.lfw_step else []
    report = {d: {} for d in names}
    groups = [path for path, noses in truth.items() if len(noses) > 1]
    reading_ms = processor_ms("fake-detect", groups)
    with tempfile.TemporaryDirectory() as folder:
        rows = hard_pictures.make(options.data, folder, [s for s in options.sets.split(",") if s])
        judged_by = dict.fromkeys(everyone + names)
        errors = landmark_errors(truth, {d: dict(zip(truth, detect(d, list(truth)))) for d in judged_by})
        for d in names:
            row = report[d]
            row["processor ms"] = processor_ms(d, groups) - reading_ms
            row["landmark error"] = errors[d]
            row["sets"] = {}
            for (name, _, noses), faces in zip(rows, detect(d, [path for _, path, _ in rows])):
                found, extra = match(faces, noses)
                count = row["sets"].setdefault(name, [0, 0, 0])
                count[0] += sum(i is not None for i in found)
                count[1] += len(noses)
                count[2] += extra
            if lfw:
                row["lfw"] = lfw_row(lfw, detect(d, lfw), options.data)
    markdown(report)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
