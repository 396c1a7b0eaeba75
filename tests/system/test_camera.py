#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""sphere-camera with a real RTSP server on the loopback: killed, frozen, losing packets; recordings;
cameras that come and go.

SPHERE_RTSP_RESTARTS, SPHERE_RTSP_FROZEN_S: how often the server is killed (3), how long it is frozen
(5), how often a camera comes and goes: SPHERE_CAMERA_CYCLES (6). SPHERE_RTSP_REPORT: a CSV file that
times of recovery and memory are added to.
"""

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import system_support as support

SERVER = os.path.join(support.ROOT, "tests", "support", "rtsp_server.py")
PROGRAM = os.path.join(support.BUILD, "pipelines", "camera", "sphere-camera")
RESTARTS = int(os.environ.get("SPHERE_RTSP_RESTARTS", "3"))
FROZEN_S = float(os.environ.get("SPHERE_RTSP_FROZEN_S", "5"))
CYCLES = int(os.environ.get("SPHERE_CAMERA_CYCLES", "6"))
REPORT = os.environ.get("SPHERE_RTSP_REPORT")
# Waits for what must happen, on machines that are busy with other things as well.
PATIENCE_S = 60 * float(os.environ.get("SPHERE_TIMEOUT_MULTIPLIER", "1"))

FAKE = {"detect-model": "fake-detect", "embed-model": "fake-embed"}


def report(what, number, value):
    print(f"{what} {number}: {value:.2f}", flush=True)
    if REPORT:
        with open(REPORT, "a", encoding="utf-8") as lines:
            lines.write(f"{what},{number},{value:.3f}\n")


def slope(values):
    """Of the line that fits the values, a step."""
    n = len(values)
    mean_x, mean_y = (n - 1) / 2, sum(values) / n
    return (sum((x - mean_x) * (y - mean_y) for x, y in enumerate(values))
            / sum((x - mean_x) ** 2 for x in range(n)))


class Lines:
    """The lines that a program writes, with the time at which each came."""

    def __init__(self, pipe):
        self.all = []
        self.fresh = queue.Queue()
        self.thread = threading.Thread(target=self.read, args=(pipe,), daemon=True)
        self.thread.start()

    def read(self, pipe):
        for line in pipe:
            self.all.append(line.rstrip("\n"))
            self.fresh.put((time.monotonic(), line.rstrip("\n")))

    def wait(self, pattern, timeout_s=PATIENCE_S):
        """The time at which a line came that holds `pattern`; those before it are passed over."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                at, line = self.fresh.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} within {timeout_s} s; there was:\n"
                                     + "\n".join(self.all[-40:])) from None
            if re.search(pattern, line):
                return at


class Server:
    def __init__(self, *options, port=0):
        self.process = subprocess.Popen([sys.executable, SERVER, str(port), *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            raise AssertionError("the RTSP server did not start")
        self.ready_at = time.monotonic()
        self.port = int(line[1])
        self.uri = f"rtsp://127.0.0.1:{self.port}/cam"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class CameraTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        if not os.path.exists(PROGRAM):
            raise unittest.SkipTest("built without sphere-camera (enable with -Dcamera=enabled)")

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.config = self.path("cameras.json")

    def path(self, name):
        return os.path.join(self.temporary.name, name)

    def write(self, *cameras, **more):
        defaults = {"gallery": self.path("people.db"), "recognition": FAKE,
                    "connect_timeout_ms": 4000, "stall_timeout_ms": 2000}
        with open(self.config + ".new", "w", encoding="utf-8") as file:
            json.dump({"defaults": defaults, "cameras": list(cameras), **more}, file)
        os.chmod(self.config + ".new", 0o600)
        os.replace(self.config + ".new", self.config)

    def server(self, *options, port=0):
        server = Server(*options, port=port)
        self.addCleanup(server.kill)
        return server

    def start(self, **environment):
        self.program = subprocess.Popen([PROGRAM, self.config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **environment))
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        self.log = Lines(self.program.stderr)

    def stop(self):
        self.program.send_signal(signal.SIGTERM)
        self.assertEqual(self.program.wait(timeout=PATIENCE_S), 0, "\n".join(self.log.all[-20:]))

    def frames(self, name):
        with open(self.path(name), "rb") as lines:
            return sum(1 for _ in lines)

    def wait_for_frames(self, name, count):
        end = time.monotonic() + PATIENCE_S
        while not os.path.exists(self.path(name)) or self.frames(name) < count:
            self.assertLess(time.monotonic(), end, f"fewer than {count} frames in {name}:\n" +
                            "\n".join(self.log.all[-20:]))
            time.sleep(0.1)


class UseTest(CameraTest):
    def test_version_help_and_bad_use(self):
        self.assertRegex(support.run([PROGRAM, "--version"]).stdout, r"^sphere-camera \d+\.\d+")
        self.assertIn("usage: sphere-camera CONFIG", support.run([PROGRAM, "--help"]).stdout)
        for arguments in ([], ["--check"], ["--cheque", "x"], ["a", "b"]):
            self.assertEqual(support.run([PROGRAM, *arguments], check=False).returncode, 2)

    def check(self, *cameras):
        self.write(*cameras)
        return support.run([PROGRAM, "--check", self.config], check=False)

    def test_check(self):
        good = self.check({"name": "a", "uri": "rtsp://u:secret@127.0.0.1:9/x"},
                          {"name": "b", "uri": "test:ball"})
        self.assertEqual(good.returncode, 0, good.stdout)
        self.assertIn("2 cameras", good.stdout)
        self.assertFalse(os.path.exists(self.path("people.db")), "nothing is opened or made")
        for camera, what in (({"uri": "test:bowl"}, "does not take pattern=bowl"),
                             ({"uri": "no-such-scheme://x"}, "no element reads"),
                             ({"uri": "test:", "recognition": {"galery": "x"}},
                              "spherebin has no property galery"),
                             ({"uri": "test:", "recognition": {"inference-interval": "often"}},
                              "does not take inference-interval=often"),
                             ({"uri": "test:", "password": "x"}, "takes no user and password")):
            bad = self.check({"name": "a", **camera})
            self.assertEqual(bad.returncode, 2, bad.stdout)
            self.assertIn(what, bad.stdout)
            self.assertIn("camera a", bad.stdout)

    def test_documented_example(self):
        page = os.path.join(support.ROOT, "docs", "sphere-camera.md")
        with open(page, encoding="utf-8") as text:
            examples = re.findall(r"^```json\n(.*?)^```$", text.read(), re.MULTILINE | re.DOTALL)
        self.assertGreater(len(examples), 0)
        secret = self.path("password")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(examples[0].replace("/etc/sphere/yard.password", secret))
        with open(secret, "w", encoding="utf-8") as file:
            file.write("x\n")
        os.chmod(secret, 0o600)
        result = support.run([PROGRAM, "--check", self.config], check=False,
                             env={**os.environ, "DOOR_PASSWORD": "x"})
        self.assertEqual(result.returncode, 0, result.stdout)


class RunTest(CameraTest):
    def test_server_killed(self):
        server = self.server()
        self.write({"name": "door", "uri": server.uri, "publish": [{"location": self.path("door")}]},
                   {"name": "hall", "uri": "test:ball", "width": 320, "height": 240, "framerate": 25,
                    "publish": [{"location": self.path("hall")}]})
        self.start()
        self.log.wait("camera door: playing")
        for number in range(1, RESTARTS + 1):
            hall = self.frames("hall")
            server.kill()
            self.log.wait("camera door: waiting")
            self.wait_for_frames("hall", hall + 10)
            server = self.server(port=server.port)
            recovered_s = self.log.wait("camera door: playing") - server.ready_at
            report("server killed: recovered after s", number, recovered_s)
            self.assertLess(recovered_s, 5)
        self.stop()
        self.assertNotIn("camera hall: waiting", "\n".join(self.log.all))

    def test_server_frozen(self):
        server = self.server()
        self.write({"name": "door", "uri": server.uri})
        self.start()
        self.log.wait("camera door: playing")
        server.process.send_signal(signal.SIGSTOP)
        try:
            self.log.wait("camera door: stalled")
            time.sleep(max(0.0, FROZEN_S - 2))
        finally:
            server.process.send_signal(signal.SIGCONT)
        back_at = time.monotonic()
        recovered_s = self.log.wait("camera door: playing") - back_at
        report("server frozen: recovered after s", 1, recovered_s)
        self.assertLess(recovered_s, 5)
        self.stop()

    def test_lost_packets(self):
        server = self.server("--loss", "0.05")
        self.write({"name": "door", "uri": server.uri, "transport": "udp",
                    "publish": [{"location": self.path("door")}]})
        self.start()
        self.wait_for_frames("door", 100)
        self.stop()
        self.assertNotRegex("\n".join(self.log.all), "camera door: (waiting|stalled)",
                            "lost packets are no reason to connect again")

    def test_password(self):
        server = self.server("--user", "me", "--password", "hunter2")
        uri = server.uri.replace("rtsp://", "rtsp://me:hunter2@")
        self.write({"name": "good", "uri": uri},
                   {"name": "bad", "uri": uri.replace("hunter2", "hunter3")})
        self.start()
        self.log.wait("camera good: playing")
        if not any("camera bad: waiting" in line for line in self.log.all):
            self.log.wait("camera bad: waiting")
        self.stop()
        self.assertNotIn("hunter", "\n".join(self.log.all))

    def test_cameras_come_and_go(self):
        one = {"name": "one", "uri": "test:ball"}
        two = {"name": "two", "uri": "test:snow"}
        self.write(one)
        self.start()
        self.log.wait("camera one: playing")
        self.write(one, two)
        self.log.wait("camera two: playing")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("{")
        self.log.wait("the cameras of before stay: .*is not JSON")
        self.write(two)
        self.log.wait("camera one: stopped")
        self.write({**two, "uri": "test:smpte"})
        self.log.wait("camera two: stopped")
        self.log.wait("camera two: playing")
        self.program.send_signal(signal.SIGHUP)
        self.stop()
        self.assertEqual(sum("camera one: playing" in line for line in self.log.all), 1,
                         "a camera that did not change is not touched")

    def test_cycles(self):
        """A camera that comes and goes many times leaves no memory and no file descriptor behind."""
        server = self.server()
        door, hall = {"name": "door", "uri": server.uri}, {"name": "hall", "uri": "test:ball"}
        self.write(hall)
        self.start()
        self.log.wait("camera hall: playing")
        process = f"/proc/{self.program.pid}"
        resident_kib, descriptors = [], []
        for number in range(1, CYCLES + 1):
            self.write(hall, door)
            self.log.wait("camera door: playing")
            self.write(hall)
            self.log.wait("camera door: stopped")
            with open(f"{process}/status", encoding="utf-8") as status:
                resident_kib.append(int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]))
            descriptors.append(len(os.listdir(f"{process}/fd")))
            if REPORT:
                report("cycle: resident KiB", number, resident_kib[-1])
                report("cycle: descriptors", number, descriptors[-1])
        self.stop()
        settled = CYCLES // 2  # the allocator has taken by then what it keeps
        self.assertLessEqual(descriptors[-1], max(descriptors[:settled + 1]), descriptors)
        if CYCLES >= 50:
            grows_kib = slope(resident_kib[settled:])
            report("cycles: KiB a cycle", CYCLES, grows_kib)
            self.assertLess(grows_kib, 20, resident_kib)

    def test_nothing_of_gstreamer_is_left_behind(self):
        """Its leaks tracer, through a lost server, recordings, and a camera that goes. That the tracer sees what leaks
        is test_faults.py's to show."""
        server = self.server()
        one = {"name": "one", "uri": server.uri, "publish": [{"location": self.path("one.jsonl")}],
               "recording": {"directory": self.path("recordings")}}
        two = {"name": "two", "uri": server.uri}
        self.write(one, two)
        self.start(GST_TRACERS="leaks", GST_DEBUG="GST_TRACER:7", GST_DEBUG_NO_COLOR="1",
                   GST_DEBUG_FILE=self.path("tracer.log"))
        self.wait_for_frames("one.jsonl", 20)
        self.log.wait("recording to ")
        server.kill()
        self.log.wait("camera one: waiting")
        self.server(port=server.port)
        self.log.wait("camera one: playing")
        self.write(one)
        self.log.wait("camera two: stopped")
        self.wait_for_frames("one.jsonl", self.frames("one.jsonl") + 20)
        self.stop()
        with open(self.path("tracer.log"), encoding="utf-8") as log:
            text = log.read()
        self.assertIn("object-alive", text, "the tracer did not run")
        self.assertEqual(support.leaked_objects(text), [])

    def test_service_is_told(self):
        address = self.path("notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(address)
            listener.settimeout(PATIENCE_S)
            self.write({"name": "one", "uri": "test:ball"})
            self.start(NOTIFY_SOCKET=address, WATCHDOG_USEC="400000")
            self.assertEqual(listener.recv(100), b"READY=1")
            self.assertEqual(listener.recv(100), b"WATCHDOG=1")
            self.program.send_signal(signal.SIGTERM)
            said = b""
            while said != b"STOPPING=1":
                said = listener.recv(100)
            self.assertEqual(self.program.wait(timeout=PATIENCE_S), 0)


class RecordingTest(CameraTest):
    PRE_ROLL_S = 2

    def recordings(self, ending):
        folder = self.path("recordings/door")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(os.path.join(folder, name) for name in names if name.endswith(ending))

    def record(self, server, http=None, **more):
        # The threshold lets whoever is enrolled be everybody: the enrolment is the event.
        self.write({"name": "door", "uri": server.uri,
                    "publish": [{"location": self.path("door")}],
                    "recognition": {**FAKE, "match-threshold": 2, "margin": 0},
                    "recording": {"directory": self.path("recordings"), "events": ["identified"],
                                  "pre_roll_ms": 1000 * self.PRE_ROLL_S, "post_roll_ms": 1500,
                                  **more}}, **({"http": http} if http else {}))
        self.start()
        self.wait_for_frames("door", 100)
        picture = self.path("picture.png")
        support.make_picture(picture)
        support.run(["spherectl", "enrol", "--detector", "fake-detect", "--model", "fake-embed",
                     "--gallery", self.path("people.db"), "--id", "somebody", picture])

    def test_pre_roll(self):
        self.record(self.server())
        self.log.wait("recording to .*mp4")
        end = time.monotonic() + PATIENCE_S
        while not self.finished():
            self.assertLess(time.monotonic(), end, "\n".join(self.log.all[-20:]))
            time.sleep(0.3)
        time.sleep(2.5)
        self.stop()
        videos, sidecars = self.recordings(".mp4"), self.recordings(".jsonl")
        self.assertEqual((len(videos), len(sidecars)), (1, 1))
        for path in videos + sidecars:
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600, path)
        frames = support.probe(videos[0], "frame=pts_time,key_frame")["frames"]
        times = [float(frame["pts_time"]) for frame in frames]
        self.assertEqual((times[0], frames[0]["key_frame"]), (0.0, 1))
        self.assertEqual(times, sorted(times))
        # A server on a busy machine leaves frames out itself, but not for so long.
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 1, "no gap at the event")
        records = support.read_records(sidecars[0])
        states = [(record["stream_time"] / 1e9, face["state"])
                  for record in records for face in record["faces"]]
        known = [at for at, state in states if state == "known"]
        unknown = [at for at, state in states if state == "unknown"]
        self.assertTrue(known and unknown)
        self.assertGreaterEqual(known[0] - unknown[0], self.PRE_ROLL_S - 0.1,
                                "the moments before the event")
        self.assertGreaterEqual(times[-1], known[0] + 1.3, "and those after it")

    def finished(self):
        """Whether the recording has its index: only then ffprobe sees its whole length."""
        videos = self.recordings(".mp4")
        if not videos:
            return False
        size = os.path.getsize(videos[0])
        time.sleep(2.2)
        return size > 0 and size == os.path.getsize(videos[0])

    def test_sigterm_finishes_the_file(self):
        server = self.server()
        self.record(server, post_roll_ms=60000, max_segment_ms=2000)
        self.log.wait("recording to .*mp4")
        self.log.wait("recording to .*mp4")
        self.wait_for_frames("door", self.frames("door") + 20)
        self.stop()
        videos = self.recordings(".mp4")
        self.assertGreaterEqual(len(videos), 2, "segments")
        for video in videos:
            self.assertGreater(int(support.probe(video, "stream=nb_read_frames", "-count_frames")
                                   ["streams"][0]["nb_read_frames"]), 5)

    def test_full_disk(self):
        server = self.server()
        self.record(server, min_free_bytes=1 << 59)
        self.log.wait("the disk is full")
        frames = self.frames("door")
        self.wait_for_frames("door", frames + 25)
        self.stop()
        self.assertEqual(self.recordings(".mp4"), [])

    def status(self):
        """Of the one camera, by the console's interface for programs; empty until that answers."""
        with open(self.path("token"), encoding="utf-8") as file:
            token = file.read().strip()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/cameras",
                                         headers={"Authorization": f"Bearer {token}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["cameras"][0]

    def wait_for_status(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition(status := self.status()):
            self.assertLess(time.monotonic(), end, f"{status}\n" + "\n".join(self.log.all[-20:]))
            time.sleep(0.2)
        return status

    def test_a_file_system_that_fills_up_and_has_room_again(self):
        disk = self.path("recordings")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "none", disk], stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("a small file system cannot be mounted here (root can)")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        with open(os.path.join(disk, "others"), "wb") as others:
            others.write(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - (128 << 10)))
        self.port = support.free_port()
        self.record(self.server(), http={"port": self.port, "token_file": self.path("token")}, min_free_bytes=0,
                    post_roll_ms=600000, max_segment_ms=2000)
        self.log.wait("console: http")
        self.log.wait("recording to .*mp4")
        self.log.wait("the disk is full")
        self.assertIn("the disk is full", self.status()["recording_error"])
        frames = self.frames("door")
        self.wait_for_frames("door", frames + 25)
        os.remove(os.path.join(disk, "others"))
        status = self.wait_for_status(lambda status: status["recording"] and status["recording_error"] == "")
        self.assertEqual(status["state"], "playing")
        self.stop()
        # The one that broke off has no end; the newest is whole, however short.
        self.assertGreater(int(support.probe(self.recordings(".mp4")[-1], "stream=nb_read_frames", "-count_frames")
                               ["streams"][0]["nb_read_frames"]), 0)

    def test_raw_video_is_not_recorded(self):
        self.write({"name": "door", "uri": "test:ball",
                    "recording": {"directory": self.path("recordings")}})
        self.start()
        self.log.wait("only H.264 and H.265 can be recorded")
        self.log.wait("camera door: playing")
        self.stop()


if __name__ == "__main__":
    if shutil.which("ffprobe") is None:
        print("ffprobe is needed", file=sys.stderr)
        sys.exit(1)
    unittest.main(verbosity=2)
