#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Several live 1080p30 streams through spherebin in one process: does their delay grow?

usage: meson devenv -C BUILD /usr/bin/python3 tests/bench/soak_streams.py CLIP GALLERY [--streams 4] [--minutes 10]
           [--csv FILE] [PROPERTY=VALUE...]
Each stream decodes CLIP, scaled to 1920x1080 and 30 frames/s and looped for ever, releases each frame when it is due as a camera
would, and drops none: a machine that is too slow falls behind for good. The properties are those of spherebin.
A row each ten seconds: the median and the 95th percentile of the delays, from due to analysed, of all frames of all
streams, and the process's CPU time and memory. At the end the slope of the medians over all rows but those of the
first quarter. Never a test: the numbers are this machine's.
"""
import argparse
import csv
import os
import resource
import statistics
import sys
import tempfile
import threading
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from soak_camera import slope  # noqa: E402

STEP_S = 10
START_MS = 500  # between one stream's start and the next one's: cameras do not start in step
COLUMNS = ("seconds", "frames", "delay_median_ms", "delay_p95_ms", "cpu_cores", "rss_mib")


def finish(pipeline, seconds=Gst.CLOCK_TIME_NONE):
    message = pipeline.get_bus().timed_pop_filtered(seconds, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    if message is not None and message.type == Gst.MessageType.ERROR:
        pipeline.set_state(Gst.State.NULL)
        sys.exit(message.parse_error()[0].message)
    return message


def make_clip(source, path):
    """H.264 as a camera sends it, without a container: it can be looped, and has no end."""
    pipeline = Gst.parse_launch(
        f"filesrc location={source} ! decodebin ! videoconvert ! videoscale ! videorate ! video/x-raw,format=I420,"
        "width=1920,height=1080,framerate=30/1,pixel-aspect-ratio=1/1 ! x264enc bframes=0 key-int-max=30 bitrate=4000 "
        "speed-preset=veryfast ! video/x-h264,stream-format=byte-stream,profile=main ! "
        f"filesink location={path}")
    pipeline.set_state(Gst.State.PLAYING)
    finish(pipeline)
    pipeline.set_state(Gst.State.NULL)


class Delays:
    def __init__(self):
        self.lock, self.values = threading.Lock(), []

    def watch(self, pipeline):
        def note(pad, info):
            running = pipeline.get_clock().get_time() - pipeline.get_base_time()
            with self.lock:
                self.values.append((running - info.get_buffer().pts) / Gst.MSECOND)
            return Gst.PadProbeReturn.OK

        pipeline.get_by_name("end").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, note)

    def take(self):
        with self.lock:
            values, self.values = self.values, []
        return sorted(values)


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rss_mib():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("gallery")
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--csv", default=os.devnull)
    parser.add_argument("properties", nargs="*")
    options = parser.parse_args()
    Gst.init(None)
    with tempfile.TemporaryDirectory() as folder, open(options.csv, "w", encoding="utf-8", newline="") as file:
        clip = os.path.join(folder, "clip.h264")
        make_clip(options.clip, clip)
        delays, pipelines, table = Delays(), [], csv.writer(file)
        table.writerow(COLUMNS)
        for _ in range(options.streams):
            pipelines.append(Gst.parse_launch(
                f"multifilesrc location={clip} loop=true caps=video/x-h264,stream-format=byte-stream,framerate=30/1 ! "
                "h264parse ! avdec_h264 max-threads=1 ! identity sync=true ! "
                f"spherebin gallery={options.gallery} {' '.join(options.properties)} ! fakesink name=end sync=false"))
            delays.watch(pipelines[-1])
            pipelines[-1].set_state(Gst.State.PLAYING)
            time.sleep(START_MS / 1000)
        begin, spent, rows = time.monotonic(), cpu_s(), []
        delays.take()
        while time.monotonic() - begin < 60 * options.minutes:
            time.sleep(STEP_S)
            for pipeline in pipelines:
                finish(pipeline, 0)
            values, now_cpu, seconds = delays.take(), cpu_s(), time.monotonic() - begin
            if not values:
                sys.exit("no frame in ten seconds: the streams stand still")
            rows.append((round(seconds, 1), len(values), round(statistics.median(values), 2),
                         round(values[len(values) * 95 // 100], 2), round((now_cpu - spent) / STEP_S, 3),
                         round(rss_mib(), 1)))
            spent = now_cpu
            table.writerow(rows[-1])
            file.flush()
            print(*rows[-1], sep="\t", flush=True)
        for pipeline in pipelines:
            pipeline.set_state(Gst.State.NULL)
    steady = rows[len(rows) // 4:]
    if len(steady) < 10:
        return
    gradient, error = slope([row[0] for row in steady], [row[2] for row in steady])
    print(f"{options.streams} streams, {rows[-1][0] / 60:.1f} min: {sum(row[1] for row in rows) / rows[-1][0]:.1f} frames/s "
          f"(due {30 * options.streams}), delay median {statistics.median(row[2] for row in steady):.1f} ms, "
          f"95th percentile {statistics.median(row[3] for row in steady):.1f} ms, "
          f"slope {gradient / 6:+.2f} +- {error / 6:.2f} ms in ten minutes, "
          f"{statistics.mean(row[4] for row in steady):.2f} cores, {rows[-1][5]:.0f} MiB")


if __name__ == "__main__":
    main()
