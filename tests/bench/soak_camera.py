#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""sphere-camera for a while with two RTSP cameras at 25 fps: memory, descriptors, frames as CSV.

usage: soak_camera.py PROGRAM MINUTES CSV [PROPERTY=VALUE...]   (properties of spherebin)
A row each ten seconds; at the end the slope of the resident memory over all rows but those of the
first quarter, with its standard error.
"""

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "rtsp_server.py")
STEP_S = 10


def slope(times, values):
    """KiB an hour of the fitted line, and its standard error."""
    n = len(values)
    mean_t, mean_v = sum(times) / n, sum(values) / n
    spread = sum((t - mean_t) ** 2 for t in times)
    gradient = sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values)) / spread
    residual = sum((v - mean_v - gradient * (t - mean_t)) ** 2 for t, v in zip(times, values))
    return 3600 * gradient, 3600 * math.sqrt(residual / (n - 2) / spread)


def count_lines(path):
    with open(path, "rb") as lines:
        return sum(1 for _ in lines)


def sample(process, files, begun):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        text = status.read()
    resident_kib = int(re.search(r"VmRSS:\s+(\d+)", text)[1])
    threads = int(re.search(r"Threads:\s+(\d+)", text)[1])
    descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
    return [round(time.monotonic() - begun, 1), resident_kib, threads, descriptors,
            *(count_lines(file) for file in files)]


def main():
    program, minutes, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    recognition = dict(argument.split("=", 1) for argument in sys.argv[4:])
    with tempfile.TemporaryDirectory() as directory, open(out, "w", encoding="utf-8") as table:
        server = subprocess.Popen([sys.executable, SERVER, "0"], stdout=subprocess.PIPE, text=True)
        uri = f"rtsp://127.0.0.1:{server.stdout.readline().split()[1]}/cam"
        files = [os.path.join(directory, name) for name in ("one", "two")]
        config = os.path.join(directory, "cameras.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"defaults": {"uri": uri, "gallery": os.path.join(directory, "people.db"),
                                    "recognition": recognition},
                       "cameras": [{"name": os.path.basename(path), "publish": [{"location": path}]}
                                   for path in files]}, file)
        process = subprocess.Popen([program, config])
        begun = time.monotonic()
        table.write("seconds,resident_kib,threads,descriptors,frames_one,frames_two\n")
        rows = []
        while time.monotonic() - begun < 60 * minutes:
            time.sleep(STEP_S)
            rows.append(sample(process, files, begun))
            table.write(",".join(map(str, rows[-1])) + "\n")
            table.flush()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
        server.kill()
    settled = rows[len(rows) // 4:]
    gradient, error = slope([row[0] for row in settled], [row[1] for row in settled])
    seconds = settled[-1][0] - settled[0][0]
    rates = [(settled[-1][i] - settled[0][i]) / seconds for i in (4, 5)]
    print(f"ended with {code}; {minutes} min; frames a second {rates[0]:.2f}, {rates[1]:.2f}; resident "
          f"memory {gradient:+.0f} KiB an hour, standard error {error:.0f}; descriptors "
          f"{settled[0][3]} to {settled[-1][3]}")
    return code


if __name__ == "__main__":
    sys.exit(main())
