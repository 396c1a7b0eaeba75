#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""sphere-camera for a while with two RTSP cameras at 25 fps: memory, descriptors, frames and delays as CSV.

usage: soak_camera.py PROGRAM MINUTES CSV [--clip VIDEO] [--gallery FILE] [PROPERTY=VALUE...]
The properties are those of spherebin. With --clip the cameras show VIDEO at 1280x720 and 25 fps for ever, else a
ball that no detector but the tests' own sees. A row each ten seconds; at the end the slopes of the resident memory and of the delays' 99th percentile over all
rows but those of the first quarter. The standard errors are those of ten blocks of rows, not of single rows, which
follow each other too closely to be counted as independent.
"""

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from system_support import free_port  # noqa: E402

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "rtsp_server.py")
STEP_S = 10
NAMES = ("one", "two")


def means_of_blocks(values, blocks=10):
    blocks = min(blocks, len(values))
    size = len(values) / blocks
    parts = [values[int(i * size):int((i + 1) * size)] for i in range(blocks)]
    return [sum(part) / len(part) for part in parts]


def slope(times, values):
    """Units an hour of the line fitted to the means of blocks, and its standard error."""
    times, values = means_of_blocks(times), means_of_blocks(values)
    n = len(values)
    mean_t, mean_v = sum(times) / n, sum(values) / n
    spread = sum((t - mean_t) ** 2 for t in times)
    gradient = sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values)) / spread
    residual = sum((v - mean_v - gradient * (t - mean_t)) ** 2 for t, v in zip(times, values))
    return 3600 * gradient, 3600 * math.sqrt(residual / (n - 2) / spread)


def frames_and_delays_ms(port):
    """Each camera's frames; the larger of both cameras' percentiles of the delay."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        text = page.read().decode()
    frames = [int(re.search(r'sphere_camera_frames_total\{camera="%s"\} (\d+)' % name, text)[1]) for name in NAMES]
    delays = [max((round(1000 * float(value), 2) for value in re.findall(
        r'sphere_camera_delay_seconds\{camera="\w+",quantile="%s"\} (\S+)' % quantile, text)), default="")
              for quantile in ("0.5", "0.99")]
    return frames + delays


def sample(process, begun, port):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        text = status.read()
    resident_kib = int(re.search(r"VmRSS:\s+(\d+)", text)[1])
    threads = int(re.search(r"Threads:\s+(\d+)", text)[1])
    descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
    return [round(time.monotonic() - begun, 1), resident_kib, threads, descriptors,
            *frames_and_delays_ms(port)]


def as_camera_sends(video, directory):
    """`video` as a byte stream of a camera's size and rate, without B-frames."""
    stream = os.path.join(directory, "camera.h264")
    subprocess.run(["gst-launch-1.0", "-q", "filesrc", f"location={video}", "!", "decodebin", "!", "videoconvert", "!",
                    "videoscale", "add-borders=true", "!", "videorate", "!",
                    "video/x-raw,format=I420,width=1280,height=720,framerate=25/1", "!", "x264enc", "bframes=0",
                    "key-int-max=50", "bitrate=4000", "!", "video/x-h264,stream-format=byte-stream", "!", "filesink",
                    f"location={stream}"], check=True)
    return stream


def configuration(options, directory, uri, port):
    defaults = {"uri": uri, "gallery": options.gallery or os.path.join(directory, "people.db"),
                "recognition": dict(argument.split("=", 1) for argument in options.properties)}
    cameras = [{"name": name, "publish": [{"location": os.path.join(directory, name), "rotate-bytes": 10000000,
                                           "rotate-keep": 1}]} for name in NAMES]
    return {"defaults": defaults, "cameras": cameras,
            "http": {"port": port, "token_file": os.path.join(directory, "token")}}


def record(process, port, minutes, table):
    table.write("seconds,resident_kib,threads,descriptors,frames_one,frames_two,delay_p50_ms,delay_p99_ms\n")
    begun = time.monotonic()
    rows = []
    while time.monotonic() - begun < 60 * minutes:
        time.sleep(STEP_S)
        rows.append(sample(process, begun, port))
        table.write(",".join(map(str, rows[-1])) + "\n")
        table.flush()
    return rows


def describe(rows):
    settled = rows[len(rows) // 4:]
    times = [row[0] for row in settled]
    gradient, error = slope(times, [row[1] for row in settled])
    delays = [row[7] for row in settled]
    delay_gradient, delay_error = slope(times, delays)
    rates = [(settled[-1][i] - settled[0][i]) / (times[-1] - times[0]) for i in (4, 5)]
    return (f"frames a second {rates[0]:.2f}, {rates[1]:.2f}; resident memory {gradient:+.0f} KiB an hour, standard "
            f"error {error:.0f}; 99 % of frames analysed within {min(delays)} to {max(delays)} ms, "
            f"{delay_gradient:+.2f} ms an hour, standard error {delay_error:.2f}; descriptors {settled[0][3]} to "
            f"{settled[-1][3]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("minutes", type=float)
    parser.add_argument("csv")
    parser.add_argument("properties", nargs="*")
    parser.add_argument("--clip")
    parser.add_argument("--gallery")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, open(options.csv, "w", encoding="utf-8") as table:
        video = ["--video", as_camera_sends(options.clip, directory)] if options.clip else []
        server = subprocess.Popen([sys.executable, SERVER, "0", *video], stdout=subprocess.PIPE, text=True)
        uri = f"rtsp://127.0.0.1:{server.stdout.readline().split()[1]}/cam"
        config = os.path.join(directory, "cameras.json")
        port = free_port()
        with open(config, "w", encoding="utf-8") as file:
            json.dump(configuration(options, directory, uri, port), file)
        process = subprocess.Popen([options.program, config])
        try:
            rows = record(process, port, options.minutes, table)
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=60)
        finally:
            process.kill()
            server.kill()
    print(f"ended with {code}; {options.minutes} min; {describe(rows)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
