#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What each element of the road adds to decoding: frames/s, CPU time, peak memory, start-up; and the article's pipeline.

usage: meson devenv -C BUILD /usr/bin/python3 tests/bench/bench_pipeline.py [--runs N] [--threads N] [--video FILE]
           [--precision NAME] [--no-article]
All run in turn, --runs times; medians are printed, and the median of the ratios within a turn. It needs the test data.
Never a test: the numbers are this machine's.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import bench_road  # noqa: E402

ARTICLE = "the article's pipeline"
QUEUED = "road, queues between"
QUEUE = " ! queue max-size-buffers=4 max-size-bytes=0 max-size-time=0"


def steps(options, gallery):
    """(name, pipeline), each one element more than the one before."""
    threads = f"threads={options.threads}" if options.threads else ""
    source = f"filesrc location={options.video} ! decodebin"
    end = "fakesink name=end sync=false"
    # 0.6 is the article's threshold for YuNet: both see the same faces.
    road = ["", f" ! spheredetect name=detect model={options.detector} threshold=0.6 {threads}", " ! spherealign name=align",
            f" ! sphereembed name=embed model=fr_feature precision={options.precision} {threads}",
            f" ! spherematch name=match gallery={gallery}"]
    names = ["decode", "+ spheredetect", "+ spherealign", "+ sphereembed", "+ spherematch"]
    for i, name in enumerate(names):
        yield name, f"{source}{''.join(road[:i + 1])} ! {end}"
    # Stages side by side instead of threads within one: the next frame is detected while this one's faces are embedded.
    detect = road[1].replace(threads, "threads=1") if threads else road[1]  # one picture gains little by more
    yield QUEUED, f"{source}{QUEUE}{detect}{QUEUE}{''.join(road[2:])} ! {end}"
    yield "spherebin", f"{source} ! spherebin gallery={gallery} ! {end}"
    both = "".join(road[1:])
    second = both.replace("name=detect", "").replace("name=align", "").replace("name=embed", "").replace("name=match", "")
    yield "decode, two streams", f"{source} ! {end} {source} ! fakesink sync=false"
    yield "road, two streams", f"{source}{both} ! {end} {source}{second} ! fakesink sync=false"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--detector", default="yunet-640")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--no-article", action="store_true")
    parser.add_argument("--video", default=os.path.join(bench_road.SHARED, "data/videos/facenet_pytorch_video.mp4"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gallery, paths = bench_road.prepare(options, folder)
        runs = {}
        for _ in range(options.runs):
            for name, pipeline in steps(options, gallery):
                done, = bench_road.run_json(["/usr/bin/python3", os.path.join(HERE, "run_pipeline.py"), pipeline])
                runs.setdefault(name, []).append(done)
            if not options.no_article:
                peer = bench_road.run_peer(options, paths)
                runs.setdefault(ARTICLE, []).append(
                    {"frames": peer["frames"], "wall_s": peer["frames"] / peer["fps"], "cpu_s": None,
                     "peak_rss_mib": None, "first_s": None})
    machine = subprocess.run(["spherectl", "bench", "--json", "--no-peak", "--runs", "1", "--precision", "fp32"],
                             capture_output=True, text=True, check=True).stdout
    machine = json.loads(machine)["machine"]
    print(f"{machine['cpu']}, {machine['cores']} cores, kernels {machine['kernels']}, engines {machine['engines']}; "
          f"{options.threads} threads; {options.detector} + fr_feature, precision {options.precision}; "
          f"{os.path.basename(options.video)}; {options.runs} turns")
    print("| pipeline | frames/s | of decoding's time | CPU ms a frame | of decoding's CPU | peak MiB | first frame, s |")
    print("|---|---|---|---|---|---|---|")

    def middle(name, value, digits):
        values = [value(run) for run in runs[name] if run.get("peak_rss_mib") is not None]
        return f"{statistics.median(values):.{digits}f}" if values else "-"

    for name, done in runs.items():
        against = runs["decode, two streams" if "two" in name else "decode"]
        slower = statistics.median(run["wall_s"] / floor["wall_s"] for run, floor in zip(done, against))
        fps = statistics.median(run["frames"] / run["wall_s"] for run in done)
        cpu = "-"
        if done[0]["cpu_s"] is not None:
            cpu = f"{statistics.median(run['cpu_s'] / floor['cpu_s'] for run, floor in zip(done, against)):.2f}"
        print(f"| {name} | {fps:.1f} | {slower:.2f} | {middle(name, lambda r: 1000 * r['cpu_s'] / r['frames'], 2)} | "
              f"{cpu} | {middle(name, lambda r: r['peak_rss_mib'], 0)} | {middle(name, lambda r: r['first_s'], 2)} |")
    if ARTICLE in runs:
        for name in ("+ spherematch", QUEUED):
            ratios = [peer["wall_s"] / ours["wall_s"] for peer, ours in zip(runs[ARTICLE], runs[name])]
            print(f"frames/s of `{name}` to the article's: median {statistics.median(ratios):.2f} "
                  f"(min {min(ratios):.2f}, max {max(ratios):.2f})")


if __name__ == "__main__":
    main()
