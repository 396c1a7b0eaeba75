#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The ready scripts of pipelines/: redact.sh, folder.sh, restream.sh. annotate.sh has test_clips.py."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

import numpy as np

import system_support as support

WIDTH, HEIGHT, FRAMES = 320, 240, 30
DETECTOR = ["--detect-model", "fake-detect"]


def script(name, *arguments, check=True):
    return support.run([os.path.join(support.ROOT, "pipelines", name), *map(str, arguments)], check=check)


def pictures(path):
    """All frames as grey values, [frames, height, width]."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"],
                         stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH).astype(int)


class ScriptsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.clip = cls.path("clip.mp4")
        # Noise that stays: whatever averages or fills it shows.
        support.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                     f"nullsrc=size={WIDTH}x{HEIGHT}:rate=15,geq=lum='random(1)*255':cb=128:cr=128,"
                     f"loop=loop=-1:size=1,trim=end_frame={FRAMES}",
                     "-f", "lavfi", "-i", "sine=duration=2", "-c:v", "libx264", "-qp", "10", "-c:a", "aac",
                     "-shortest", cls.clip])

    @classmethod
    def path(cls, *parts):
        return os.path.join(cls.temporary.name, *parts)

    def face_box(self):
        """Where the fake detector finds its face."""
        picture = self.path("picture.png")
        support.make_picture(picture)
        found = json.loads(support.run(["spherectl", "detect", "--json", "--detector", "fake-detect", picture]).stdout)
        return found["images"][0]["faces"][0]["box"]

    def test_redact_covers_the_face_and_keeps_the_rest_with_sound(self):
        output = self.path("redacted")
        script("redact.sh", *DETECTOR, "--method", "fill", "--output", output, self.clip)
        before, after = pictures(self.clip), pictures(output + ".mp4")
        self.assertEqual(len(after), len(before))
        x, y, w, h = (int(value) for value in self.face_box())
        inside = np.s_[:, y + h // 4:y + h * 3 // 4, x + w // 4:x + w * 3 // 4]
        self.assertGreater(before[inside].std(), 30)
        self.assertLess(after[inside].max(), 40, "black, as far as the encoder lets it be")
        difference = np.abs(after - before)
        difference[:, max(0, y - h):y + 2 * h, max(0, x - w):x + 2 * w] = 0
        self.assertLess(difference.mean(), 12, "what the encoder changes, and no more")
        codecs = support.run(["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=codec_name",
                              output + ".mp4"]).stdout.split()
        self.assertEqual(sorted(codecs), ["aac", "h264"])

    def test_redact_without_sound(self):
        output = self.path("silent")
        script("redact.sh", *DETECTOR, "--no-sound", "--output", output, self.clip)
        codecs = support.run(["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=codec_name",
                              output + ".mp4"]).stdout.split()
        self.assertEqual(codecs, ["h264"])

    def test_mistakes_are_named(self):
        for name, arguments, wanted in [
                ("redact.sh", ["--who", "known", self.clip], "--gallery"),
                ("redact.sh", ["--method", "image", self.clip], "--image FILE.png"),
                ("redact.sh", ["--method", "paint", self.clip], "paint"),
                ("redact.sh", [], "no input"),
                ("restream.sh", [self.clip], "--hls FOLDER or --rtsp PORT"),
                ("restream.sh", ["--rtsp", "99999", self.clip], "99999"),
                ("folder.sh", ["annotate", self.path("nowhere"), self.path("out")], "nowhere"),
                ("folder.sh", ["paint", self.temporary.name, self.path("out")], "paint")]:
            with self.subTest(name=name, arguments=arguments):
                result = script(name, *arguments, check=False)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(wanted, result.stdout)

    def test_a_folder_goes_on_after_a_bad_video_and_can_be_taken_up_again(self):
        source, target = self.path("videos"), self.path("done")
        os.makedirs(os.path.join(source, "deep er"))
        with open(self.clip, "rb") as clip:
            whole = clip.read()
        for name, content in (("a.mp4", whole), ("b.mp4", whole[:2000]), ("deep er/c d.mp4", whole)):
            with open(os.path.join(source, name), "wb") as file:
                file.write(content)
        first = script("folder.sh", "redact", source, target, *DETECTOR, check=False)
        self.assertEqual(first.returncode, 1, first.stdout)
        self.assertIn("2 made, 0 there before, 1 failed", first.stdout)
        self.assertIn("b.mp4 is not a media file", first.stdout)
        made = sorted(os.path.relpath(os.path.join(folder, name), target)
                      for folder, _, names in os.walk(target) for name in names)
        self.assertEqual(made, ["a.mp4.mp4", "deep er/c d.mp4.mp4"])
        os.unlink(os.path.join(source, "b.mp4"))
        again = script("folder.sh", "redact", source, target, *DETECTOR)
        self.assertIn("0 made, 2 there before, 0 failed", again.stdout)

    def test_a_folder_is_annotated_with_records(self):
        source, target = self.path("one"), self.path("annotated")
        os.makedirs(source)
        with open(self.clip, "rb") as clip, open(os.path.join(source, "b.mp4"), "wb") as copy:
            copy.write(clip.read())
        script("folder.sh", "annotate", source, target, "--gallery", support.fake_gallery(self.temporary.name),
               *support.FAKE_MODELS)
        self.assertEqual(len(support.read_records(os.path.join(target, "b.mp4.jsonl"))), FRAMES)
        self.assertTrue(os.path.exists(os.path.join(target, "b.mp4.mp4")))

    def test_hls(self):
        folder = self.path("hls")
        script("restream.sh", "--hls", folder, *DETECTOR, self.clip)
        with open(os.path.join(folder, "live.m3u8"), encoding="utf-8") as playlist:
            self.assertIn("#EXT-X-ENDLIST", playlist.read())
        found = support.probe(os.path.join(folder, "live.m3u8"), "stream=nb_read_frames,codec_name",
                              "-count_frames")["streams"][0]
        self.assertEqual(found["codec_name"], "h264")
        self.assertEqual(int(found["nb_read_frames"]), FRAMES)

    def test_rtsp(self):
        server = subprocess.Popen(
            [os.path.join(support.ROOT, "pipelines", "restream.sh"), "--rtsp", str(support.free_port()), "--redact",
             "all", *DETECTOR, self.clip], stdout=subprocess.PIPE, text=True)
        try:
            uri = server.stdout.readline().strip()
            self.assertRegex(uri, r"^rtsp://127\.0\.0\.1:\d+/live$")
            record = self.path("seen.mkv")
            support.run(["ffmpeg", "-v", "error", "-y", "-rtsp_transport", "tcp", "-i", uri, "-frames:v", "10",
                         "-c", "copy", record])
            self.assertEqual(support.probe(record, "stream=width,height")["streams"][0],
                             {"width": WIDTH, "height": HEIGHT})
        finally:
            server.send_signal(signal.SIGINT)
            self.assertEqual(server.wait(timeout=20), 0)
            server.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
