#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""sphere-camera's console in headless Chromium: an unknown face of a running stream is enrolled
by a click and recognised; keyboard, themes, a telephone's width."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "system"))
import system_support as support  # noqa: E402

CAMERA = os.path.join(support.BUILD, "pipelines", "camera", "sphere-camera")
CLIP = os.path.join(support.VIDEOS, "liveportrait_d18.mp4")


def need_browser():
    for program in ("chromium", "node", "npm"):
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"no {program}")


def playwright():
    """The folder whose node_modules has playwright-core, of package-lock.json's checksum."""
    folder = os.path.join(support.BUILD, "console-npm")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, name), folder)
    if not os.path.isdir(os.path.join(folder, "node_modules", "playwright-core")):
        result = support.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                             cwd=folder, check=False)
        if result.returncode != 0:
            raise unittest.SkipTest("playwright-core could not be had from npm: " +
                                    result.stdout.strip().splitlines()[-1])
    return folder


class BrowserTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        support.need_data()
        support.need_models("fr_feature")
        need_browser()
        cls.modules = playwright()
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.shots = os.path.join(support.BUILD, "console-screenshots")
        os.makedirs(cls.shots, exist_ok=True)

    def start(self, cameras):
        folder = self.temporary.name
        config = os.path.join(folder, "cameras.json")
        self.token_file = os.path.join(folder, "state", "console.token")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"cameras": cameras,
                       "http": {"port": support.free_port(), "token_file": self.token_file}}, file)
        self.log_path = os.path.join(folder, "log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            process = subprocess.Popen([CAMERA, config], stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(self.stop, process)
        for _ in range(200):
            found = re.search(r"console: (http://127\.0\.0\.1:\d+/), the token is in", self.log())
            if found:
                with open(self.token_file, encoding="utf-8") as file:
                    return f"{found.group(1)}#token={file.read().strip()}"
            self.assertIsNone(process.poll(), self.log())
            time.sleep(0.1)
        raise AssertionError("sphere-camera printed no address:\n" + self.log())

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        try:
            self.assertEqual(process.wait(30), 0, self.log())
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def test_console(self):
        gallery = os.path.join(self.temporary.name, "people.gallery")
        camera = {"name": "door", "uri": CLIP, "loop": True, "gallery": gallery,
                  "live_fps": 5, "live_width": 480,
                  "recognition": {"collect-unknown": True, "unknown-thumbnails": True,
                                  "unknown-min-quality": 0.1}}
        yard = {"name": "yard", "uri": "test:smpte", "framerate": 5, "gallery": gallery}
        login = self.start([camera, yard])
        self.assertEqual(stat.S_IMODE(os.stat(self.token_file).st_mode), 0o600)
        busy_before = os.getloadavg()[0]
        what = {"modules": self.modules, "chromium": shutil.which("chromium"), "login": login, "shots": self.shots}
        result = support.run(["node", os.path.join(HERE, "browser.mjs"), json.dumps(what)],
                             check=False, timeout_s=420)
        self.assertEqual(result.returncode, 0, result.stdout + self.log())
        seen = json.loads(result.stdout.strip().splitlines()[-1])
        took_ms = seen["timings"]["recognised_ms"]
        # Two seconds, on a machine that is not given much more to do than it has processors for.
        busy = max(busy_before, os.getloadavg()[0]) > 1.5 * os.cpu_count()
        self.assertLess(took_ms, 30000 if busy else 2000)
        print(f"recognised {took_ms} ms after the click" + (" on a machine too busy to be held to 2 s" if busy else ""))
        base = login.split("#")[0]
        for _ in range(100):  # the clip may just begin once more
            metrics = urllib.request.urlopen(base + "metrics", timeout=10).read().decode()
            if re.search(r'sphere_camera_up\{camera="door"\} 1\n', metrics):
                break
            time.sleep(0.1)
        else:
            self.fail(metrics)
        self.assertRegex(metrics, r'sphere_camera_frames_total\{camera="door"\} [1-9]')
        self.assertNotIn(login.split("token=")[1], self.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
