#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The road next to the article's pipeline in Python: same clip, models, threads and OpenCV, in turn.

usage: meson devenv -C BUILD /usr/bin/python3 tests/bench/bench_road.py [--runs N] [--threads N]
Prints ms a frame of each stage, what is not inference, frames/s, the ratios of each pair of runs
with their median, and the versions. Never a test: the numbers are this machine's.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import cv2

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.environ.get("SPHERE_TEST_DATA", os.path.join(ROOT, "..", "shared"))
ROAD = ["spheredetect", "spherealign", "sphereembed", "spherematch"]


def run_json(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr.strip()}\n{done.stdout.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def run_peer(options, model_paths):
    program = os.path.join(SHARED, "tools", "article_pipeline.py")
    report, spent = run_json(
        ["/usr/bin/python3", os.path.join(HERE, "timed_peer.py"), program, "--video", options.video,
         "--detector", f"yunet:{model_paths['detector']}", "--recogniser", model_paths["embedder"],
         "--input", "112x112", "--rgb", "--mean", "127.5", "--scale", str(1 / 127.5),
         "--gallery", model_paths["vectors"], "--threads", str(options.threads)])
    frames = report["frames"]
    inference = 1000 * spent["forward_s"] / frames
    total = 1000 * report["wall_s"] / frames
    stages = dict(report["mean_ms"])
    return {"frames": frames, "faces": report["faces"], "total": total, "inference": inference,
            "other": sum(stages.values()) - inference, "fps": report["fps"], "stages": stages}


def run_ours(options, gallery):
    source = f"filesrc location={options.video} ! decodebin"
    decode, = run_json(["/usr/bin/python3", os.path.join(HERE, "run_pipeline.py"),
                        f"{source} ! fakesink name=end sync=false"])
    road, = run_json(
        ["/usr/bin/python3", os.path.join(HERE, "run_pipeline.py"),
         # 0.6 is the article's threshold for YuNet: both see the same faces.
         f"{source} ! spheredetect name=spheredetect model={options.detector} threshold=0.6"
         f" threads={options.threads}"
         f" ! spherealign name=spherealign"
         f" ! sphereembed name=sphereembed model=fr_feature threads={options.threads}"
         f" ! spherematch name=spherematch gallery={gallery}"
         f" ! fakesink name=end sync=false"])
    stages = {"decode": 1000 * decode["wall_s"] / decode["frames"]}
    inference = 0.0
    for name in ROAD:
        stages[name] = road["elements"][name]["time-mean-ns"] / 1e6
        inference += road["elements"][name]["inference-mean-ns"] / 1e6
    return {"frames": road["frames"], "faces": road["elements"]["spheredetect"]["faces"],
            "total": 1000 * road["wall_s"] / road["frames"], "inference": inference,
            "other": sum(stages.values()) - inference, "fps": road["frames"] / road["wall_s"],
            "stages": stages, "start_s": road["start_s"], "cpu_s": road["cpu_s"],
            "peak_rss_mib": road["peak_rss_mib"]}


def prepare(options, folder):
    """A gallery of the people in one photograph folder, for both."""
    import numpy
    gallery = os.path.join(folder, "people.db")
    people = os.path.join(SHARED, "data/photos/face_recognition/knn/train")
    subprocess.run(["spherectl", "enrol", "--gallery", gallery, "--detector", options.detector, people],
                   check=True, capture_output=True)
    pictures = [os.path.join(d, f) for d, _, files in os.walk(people) for f in sorted(files)]
    vectors = os.path.join(folder, "people.npy")
    subprocess.run(["spherectl", "represent", "--npy", vectors, "--detector", options.detector, *pictures],
                   check=True, capture_output=True)
    assert numpy.load(vectors).shape[1] == 512
    listed = json.loads(subprocess.run(["spherectl", "models", "list", "--json"], check=True,
                                       capture_output=True, text=True).stdout)
    paths = {m["name"]: m["files"][0]["path"] for m in listed["models"] if m["files"]}
    return gallery, {"detector": paths[options.detector], "embedder": paths["fr_feature"],
                     "vectors": vectors}


def show(name, run):
    stages = "  ".join(f"{k} {v:.2f}" for k, v in run["stages"].items())
    print(f"{name:8} {run['frames']} frames {run['faces']} faces | {run['total']:.1f} ms a frame, "
          f"{run['fps']:.2f} frames/s | inference {run['inference']:.2f}, all else "
          f"{run['other']:.2f} ms | {stages}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--detector", default="yunet-640")
    parser.add_argument("--video", default=os.path.join(
        SHARED, "data/videos/facenet_pytorch_video.mp4"))
    options = parser.parse_args()
    version = subprocess.run(["gst-launch-1.0", "--version"], capture_output=True, text=True,
                             check=True).stdout.splitlines()[1]
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.machine())
    print(f"{version}; OpenCV {cv2.__version__} on both sides; {options.threads} threads; {cpu}, "
          f"{os.cpu_count()} cores; {options.detector} + fr_feature; {os.path.basename(options.video)}")
    ratios = {"all else": [], "frames/s": []}
    with tempfile.TemporaryDirectory() as folder:
        gallery, paths = prepare(options, folder)
        for _ in range(options.runs):
            peer, ours = run_peer(options, paths), run_ours(options, gallery)
            show("article", peer)
            show("ours", ours)
            ratios["all else"].append(ours["other"] / peer["other"])
            ratios["frames/s"].append(ours["fps"] / peer["fps"])
    print(f"ours: start {ours['start_s']} s, CPU {ours['cpu_s']:.1f} s, peak {ours['peak_rss_mib']} MiB")
    for name, values in ratios.items():
        print(f"ours/article, {name}: median {statistics.median(values):.2f} "
              f"(min {min(values):.2f}, max {max(values):.2f}, {len(values)} runs)")


if __name__ == "__main__":
    main()
