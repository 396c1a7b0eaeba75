#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Recordings with a sidecar: record.sh writes it, playback.sh and players show it, galleries name it again."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

import system_support as support  # noqa: E402

sys.path.insert(0, os.path.join(support.ROOT, "pipelines", "lib"))
import webvtt  # noqa: E402

RECORD = os.path.join(support.ROOT, "pipelines", "record.sh")
PLAYBACK = os.path.join(support.ROOT, "pipelines", "playback.sh")
WEBVTT = os.path.join(support.ROOT, "pipelines", "lib", "webvtt.py")


def face(box, track=1, label=None, state="unknown"):
    match = {"id": label, "label": label} if label else None
    return {"track": track, "box": box, "state": "known" if label else state, "match": match}


def record(seconds, *faces):
    return seconds, {"frame": {"width": 1000, "height": 500}, "faces": list(faces)}


class CuesTest(unittest.TestCase):
    """What becomes of records; no pipeline is run."""

    def test_a_stay_is_one_cue_from_its_first_frame_to_the_end_of_its_last(self):
        cues = webvtt.cues_of([record(10 + i * 0.04, face([100, 200, 100, 100], label="Ada")) for i in range(25)])
        self.assertEqual(len(cues), 1)
        begin, end, settings, text = cues[0]
        self.assertAlmostEqual(begin, 0)
        self.assertAlmostEqual(end, 1.0)
        self.assertEqual(text, "Ada")
        self.assertIn("position:15%", settings)
        self.assertIn(f"line:{40 - webvtt.ABOVE}%", settings)

    def test_another_name_or_place_begins_another_cue(self):
        names = [record(i, face([100, 200, 100, 100], label="Ada" if i < 2 else "Bob")) for i in range(4)]
        self.assertEqual([cue[3] for cue in webvtt.cues_of(names)][:1], ["Ada"])
        self.assertIn("Bob", [cue[3] for cue in webvtt.cues_of(names)])
        moves = [record(i * 0.04, face([i * 10, 200, 100, 100], label="Ada")) for i in range(50)]
        cues = webvtt.cues_of(moves)
        self.assertGreater(len(cues), 4)
        for before, after in zip(cues, cues[1:]):
            self.assertAlmostEqual(before[1], after[0], msg="one gives way to the next")

    def test_people_beside_each_other_and_strangers(self):
        cues = webvtt.cues_of([record(i * 0.04, face([0, 0, 100, 100], 1, "Ada"), face([800, 0, 100, 100], 2),
                                      face([400, 0, 100, 100], 3, state=None)) for i in range(5)])
        self.assertEqual([cue[3] for cue in cues], ["Ada", "unknown"])

    def test_who_comes_back_has_another_cue(self):
        times = (0, 0.04, 0.08, 3, 3.04)
        cues = webvtt.cues_of([record(t, face([0, 0, 100, 100], label="Ada")) for t in times])
        self.assertEqual(len(cues), 2)
        self.assertLess(cues[0][1], 1)

    def test_text_cannot_break_out_of_its_cue(self):
        text = webvtt.escaped("<b>Ada</b> & \n\nNOTE --> Bob")
        self.assertEqual(text, "&lt;b&gt;Ada&lt;/b&gt; &amp; NOTE --&gt; Bob")

    def test_clock(self):
        self.assertEqual(webvtt.clock(3723.0456), "01:02:03.046")

    def test_a_file_that_is_no_sidecar_is_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            bad = os.path.join(directory, "bad.jsonl")
            for content in ("hello\n", '{"schema":"sphere.frame/1"}\n'):
                with open(bad, "w", encoding="utf-8") as file:
                    file.write(content)
                done = support.run([WEBVTT, bad, os.path.join(directory, "out.vtt")], check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(bad, done.stdout)
            self.assertNotIn("Traceback", done.stdout)


class RecordingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        Gst.init(None)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.gallery = support.fake_gallery(cls.temporary.name)
        cls.source = cls.path("source.mp4")
        support.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2",
                     "-f", "lavfi", "-i", "sine=duration=2", "-pix_fmt", "yuv420p", cls.source])
        cls.made = support.run([RECORD, "--gallery", cls.gallery, *support.FAKE_MODELS, "--embeddings", "--output",
                                cls.path("walk"), cls.source]).stdout.split()
        cls.video = cls.made[0]

    @classmethod
    def path(cls, name):
        return os.path.join(cls.temporary.name, name)

    def frames_of(self, path):
        """The frames as grey pictures, one behind the other."""
        return subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"],
                              stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL).stdout

    def test_what_is_made(self):
        self.assertEqual([os.path.basename(p) for p in self.made], [os.path.basename(self.video), "walk.jsonl", "walk.vtt"])
        for name in ("walk.jsonl", "walk.vtt"):
            self.assertEqual(os.stat(self.path(name)).st_mode & 0o777, 0o600, name)
        records = support.read_records(self.path("walk.jsonl"))
        self.assertEqual(len(records), 50)
        self.assertTrue(all(r["faces"][0]["match"]["id"] == "somebody" for r in records))

    def test_the_recording_has_no_boxes_and_its_playback_has(self):
        boxes = self.path("boxes" + os.path.splitext(self.video)[1])
        support.run([PLAYBACK, "--output", boxes, self.video])
        plain, drawn, source = (self.frames_of(p) for p in (self.video, boxes, self.source))
        size = 320 * 240
        self.assertEqual(len(plain), 50 * size)
        self.assertEqual(len(drawn), 50 * size)
        box = support.read_records(self.path("walk.jsonl"))[10]["faces"][0]["box"]
        x, y, w, h = (round(v) for v in box)
        edge = [10 * size + row * 320 + x for row in range(y + h // 4, y + 3 * h // 4)]
        inside = [10 * size + row * 320 + x + w // 8 for row in range(y + h // 8, y + h // 4)]

        def change(a, b, places):
            return sum(abs(a[i] - b[i]) for i in places) / len(places)
        self.assertGreater(change(plain, drawn, edge), 15, "no box is drawn")
        self.assertLess(change(plain, drawn, inside), 12, "more than boxes is drawn")
        self.assertLess(change(plain, source, edge), 12, "the recording itself has boxes")

    def test_names_are_subtitles_of_any_player(self):
        with open(self.path("walk.vtt"), encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"^WEBVTT\n\n00:00:00\.000 --> 00:00:02\.000 line:\d+% position:\d+% size:40% align:center\n"
                               r"somebody\n$")
        listing = support.probe(self.path("walk.vtt"), "stream=codec_name", "-select_streams", "s:0")
        self.assertEqual(listing["streams"][0]["codec_name"], "webvtt")
        # GStreamer's parser of subtitles.
        pipeline = Gst.parse_launch(f"filesrc location={self.path('walk.vtt')} ! subparse ! fakesink name=sink "
                                    "signal-handoffs=true")
        texts = []
        pipeline.get_by_name("sink").connect("handoff", lambda _sink, buffer, _pad: texts.append(
            buffer.extract_dup(0, buffer.get_size())))
        pipeline.set_state(Gst.State.PLAYING)
        pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
        pipeline.set_state(Gst.State.NULL)
        self.assertEqual([re.sub(rb"<[^>]*>", b"", t).strip(b"\0\n") for t in texts], [b"somebody"])

    def test_another_gallery_names_the_recorded_faces_again(self):
        other = self.path("other.db")
        support.run(["spherectl", "enrol", "--detector", "fake-detect", "--model", "fake-embed", "--gallery", other,
                     "--id", "ada", self.path("picture.png")])
        again = self.path("again.jsonl")
        support.run(["gst-launch-1.0", "-q", "filesrc", f"location={self.video}", "!", "decodebin", "!",
                     "spheresidecar", f"location={self.path('walk.jsonl')}", "!", "spherematch", f"gallery={other}",
                     "!", "spherepublish", f"location={again}", "!", "fakesink"])
        records = support.read_records(again)
        self.assertEqual({r["faces"][0]["match"] and r["faces"][0]["match"]["id"] for r in records}, {"ada"})

    def launch(self, description):
        """gst-launch to its end; nothing may be logged as critical."""
        done = support.run(["gst-launch-1.0", "-q", *shlex.split(description)])
        self.assertNotIn("CRITICAL", done.stdout)

    def record_inside(self, name, encoder, queue="queue"):
        """A recording with its faces inside, and a sidecar of the same."""
        self.launch(f"filesrc location={self.source} ! decodebin ! spheredetect model=fake-detect inference-interval=2 ! "
                    "spheretrack ! spherealign ! sphereembed model=fake-embed ! "
                    f"spherematch gallery={self.gallery} ! spherepublish location={self.path(name + '.jsonl')} embeddings=true "
                    f"! sphereklvextract name=faces embeddings=true ! {queue} ! videoconvert ! {encoder} ! h264parse ! "
                    f"mpegtsmux name=mux ! filesink location={self.path(name + '.ts')} faces.klv ! {queue} ! mux.")

    def faces_inside(self, name):
        """The faces of each frame as they are played back."""
        played = self.path(name + ".played.jsonl")
        self.launch(f"filesrc location={self.path(name + '.ts')} ! tsdemux name=demux demux. ! queue ! h264parse ! avdec_h264 "
                    f"! sphereklvcombine name=faces ! spherepublish location={played} embeddings=true ! fakesink "
                    "demux. ! meta/x-klv ! queue ! faces.klv")
        return [record["faces"] for record in support.read_records(played)]

    def test_faces_inside_the_recording_are_on_the_same_frames(self):
        for name, encoder, queue in (
                ("zero", "x264enc tune=zerolatency", "queue"),
                ("ahead", "x264enc bframes=3", "queue max-size-time=0 max-size-bytes=0 max-size-buffers=200")):
            with self.subTest(encoder=encoder):
                self.record_inside(name, encoder, queue)
                recorded = [record["faces"] for record in support.read_records(self.path(name + ".jsonl"))]
                self.assertEqual(len(recorded), 50)
                self.assertTrue(all(len(faces) == 1 for faces in recorded))
                self.assertTrue(any(face["match"] and face["embedding"] for [face] in recorded))
                self.assertGreater(len({json.dumps(faces) for faces in recorded}), 1, "a shifted frame would not show")
                self.assertEqual(self.faces_inside(name), recorded)
        streams = json.loads(support.run(["ffprobe", "-v", "error", "-of", "json", "-show_entries", "stream=codec_name",
                                          self.path("zero.ts")]).stdout)["streams"]
        self.assertEqual([stream["codec_name"] for stream in streams], ["h264", "klv"])

    def test_a_recording_that_is_damaged_plays_with_the_faces_that_are_left(self):
        self.record_inside("whole", "x264enc tune=zerolatency")
        recorded = [record["faces"] for record in support.read_records(self.path("whole.jsonl"))]
        with open(self.path("whole.ts"), "rb") as file:
            stream = bytearray(file.read())
        keys = [match.start() for match in re.finditer(rb"\x06\x0e\x2b\x34\x01\x01\x01\x01\x0fsphere\x01", stream)]
        self.assertEqual(len(keys), 50)
        stream[keys[10]] = 0  # no key any more
        stream[keys[20] + 17] = 0xFF  # longer than what follows
        stream[keys[30] + 25] = 0xFF  # no JSON any more
        with open(self.path("damaged.ts"), "wb") as file:
            file.write(stream)
        played = self.faces_inside("damaged")
        self.assertEqual(played, [[] if i in (10, 20, 30) else faces for i, faces in enumerate(recorded)])

    def test_bad_use_says_what_to_do(self):
        done = support.run([PLAYBACK, self.source], check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--sidecar", done.stdout)
        done = support.run([RECORD, self.source], check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("spherectl enrol", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
