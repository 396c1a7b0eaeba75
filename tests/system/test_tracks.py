#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tracks, identities and redaction on made clips whose truth is known, and spherebin among others' elements."""

import os
import tempfile
import unittest

import cv2
import gi
import numpy as np

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

import made_clips  # noqa: E402
import system_support as support  # noqa: E402

DETECT = "model=yunet-320"
LEAST_VISIBLE = 0.75  # of a face, for it to count as visible
SOURCE = "filesrc location={} ! avidemux ! jpegdec ! videoconvert ! video/x-raw,format=I420"


class NoEnd(AssertionError):
    pass


def states_of(pipeline):
    found, elements = [], pipeline.iterate_recurse()
    while True:
        result, element = elements.next()
        if result != Gst.IteratorResult.OK:
            return "\n".join(found)
        found.append(f"{element.get_name()}: {element.get_state(0)}")


def run_pipeline(description, on_message=None, timeout_s=400):
    """Runs to the end; the stats of the elements that have a name of their own."""
    pipeline = Gst.parse_launch(description)
    try:
        pipeline.set_state(Gst.State.PLAYING)
        bus = pipeline.get_bus()
        kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR | Gst.MessageType.ELEMENT
        while True:
            message = bus.timed_pop_filtered(timeout_s * Gst.SECOND, kinds)
            if message is None:
                raise NoEnd(f"no end within {timeout_s} s: {description}\n{states_of(pipeline)}")
            if message.type == Gst.MessageType.ERROR:
                raise AssertionError(f"{description}: {message.parse_error()}")
            if message.type == Gst.MessageType.EOS:
                break
            if on_message:
                on_message(message.get_structure())
        stats = {}
        elements = pipeline.iterate_recurse()
        while True:
            result, element = elements.next()
            if result != Gst.IteratorResult.OK:
                break
            if element.find_property("stats") and element.get_factory().get_name().startswith("sphere"):
                stats[element.get_name()] = element.get_property("stats")
        return stats
    finally:
        pipeline.set_state(Gst.State.NULL)


def count(structure, name):
    return structure.get_uint64(name).value if structure.has_field(name) else 0


class MadeClipTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        support.need_data()
        support.need_models("fr_feature", "yunet-320")
        Gst.init(None)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.clip = cls.path("crossing.avi")
        cls.truth = made_clips.crossing(cls.clip)
        cls.runners = cls.path("runners.avi")
        cls.runners_truth = made_clips.runners(cls.runners)
        cls.gallery = made_clips.enrol(cls.path("people.db"))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.temporary.name, name)

    def road(self, interval):
        """Records of the whole road, its stats and its events."""
        record = self.path(f"record{interval}.jsonl")
        events = []
        stats = run_pipeline(
            f"{SOURCE.format(self.clip)} ! spheredetect name=detect {DETECT} inference-interval={interval} ! "
            f"spheretrack ! spherealign ! sphereembed name=embed model=fr_feature ! "
            f"spherematch gallery={self.gallery} ! spherepublish location={record} ! fakesink",
            on_message=lambda s: events.append((s.get_string("event"), s.get_int64("track").value,
                                                s.get_string("id"))))
        return support.read_records(record), stats, events

    def check_road(self, interval):
        frames, stats, events = self.road(interval)
        self.assertEqual(len(frames), len(self.truth))
        ids = {person: set() for person in made_clips.PASTED}
        visible = named = face_frames = 0
        wrong = []
        for i, (frame, people) in enumerate(zip(frames, self.truth)):
            face_frames += len(frame["faces"])
            for face in frame["faces"]:
                if face.get("carried"):
                    continue
                owner = max(people, key=lambda p: made_clips.overlap(people[p][0], face["box"]))
                if made_clips.overlap(people[owner][0], face["box"]) < 0.3:
                    continue
                ids[owner].add(face["track"])
                if face["match"] and face["match"]["id"] != owner:
                    wrong.append((i, owner, face["match"]["id"]))
            for person, (box, share) in people.items():
                if share < LEAST_VISIBLE:
                    continue
                visible += 1
                named += any(face["match"] and face["match"]["id"] == person and
                             made_clips.overlap(box, face["box"]) > 0.3 for face in frame["faces"])
        embedded = count(stats["embed"], "faces")
        print(f"interval {interval}: {visible} visible faces, named {named / visible:.3f}, wrong {len(wrong)}, "
              f"embedded {embedded} of {face_frames} face-frames, tracks {ids}")
        self.assertEqual({person: len(seen) for person, seen in ids.items()}, dict.fromkeys(ids, 1),
                         f"id switches: {ids}")
        self.assertEqual(len(set.union(*ids.values())), len(ids), "two people had one id")
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(named / visible, 0.95)
        self.assertLessEqual(embedded / face_frames, 0.10)
        self.check_events(events, ids)

    def check_events(self, events, ids):
        for person, (track,) in ids.items():
            mine = [(event, who) for event, of, who in events if of == track]
            self.assertEqual(mine[0][0], "appeared", mine)
            self.assertIn(("identified", person), mine)
            self.assertEqual(mine[-1], ("left", person))
            self.assertNotIn("renamed", [event for event, _ in mine])

    def test_each_frame_detected(self):
        self.check_road(1)

    def test_each_third_frame_detected(self):
        self.check_road(3)

    def test_each_fifth_frame_detected(self):
        self.check_road(5)

    def redact(self, clip, name, options, interval):
        """The frames after sphereredact, and the records."""
        raw = self.path(name + ".raw")
        record = self.path(name + ".jsonl")
        run_pipeline(f"{SOURCE.format(clip)} ! spheredetect {DETECT} inference-interval={interval} ! "
                     f"spheretrack ! sphereredact {options} ! spherepublish location={record} ! "
                     f"videoconvert ! video/x-raw,format=BGR ! filesink location={raw}")
        width, height = made_clips.SIZE
        frames = np.fromfile(raw, np.uint8).reshape(-1, height, width, 3)
        return frames, support.read_records(record)

    @staticmethod
    def spans(records, truth):
        """person -> the first and last frame in which a track of theirs was detected."""
        spans = {}
        for i, (record, people) in enumerate(zip(records, truth)):
            for face in record["faces"]:
                if face.get("carried"):
                    continue
                owner = max(people, key=lambda p: made_clips.overlap(people[p][0], face["box"]))
                if made_clips.overlap(people[owner][0], face["box"]) >= 0.3:
                    first, _ = spans.get(owner, (i, i))
                    spans[owner] = (first, i)
        return spans

    def check_redaction(self, clip, truth, interval):
        frames, records = self.redact(clip, f"fill{interval}", "method=fill color=0x00ff00", interval)
        self.assertEqual(len(frames), len(truth))
        green = (np.abs(frames.astype(int) - [0, 255, 0]).max(axis=3) < 40)
        spans = self.spans(records, truth)
        self.assertEqual(set(spans), set(truth[0]))
        looked_at, worst, bare = 0, 1.0, []
        for i, people in enumerate(truth):
            for person, (box, share) in people.items():
                if share < 0.1 or not spans[person][0] <= i <= spans[person][1]:
                    continue
                x, y, w, h = box
                face = np.zeros(green.shape[1:], np.uint8)
                # Brows to chin: what a face is recognised by.
                cv2.ellipse(face, (int(x + w / 2), int(y + h * 0.55)), (int(w * 0.42), int(h * 0.42)), 0, 0, 360,
                            1, -1)
                covered = green[i][face > 0].mean()
                looked_at += 1
                worst = min(worst, covered)
                if covered < 0.95:
                    bare.append((i, person, round(float(covered), 2)))
        print(f"redaction, interval {interval}: {looked_at} faces, least covered {worst:.3f}, bare {bare}")
        self.assertEqual(bare, [])

    def test_redaction_covers_every_visible_face(self):
        self.check_redaction(self.clip, self.truth, 1)

    def test_redaction_covers_frames_that_were_not_detected(self):
        self.check_redaction(self.clip, self.truth, 5)

    def test_redaction_of_runners(self):
        for interval in (1, 3, 5):
            with self.subTest(interval=interval):
                self.check_redaction(self.runners, self.runners_truth, interval)

    def test_blur_and_pixelate_leave_no_detail(self):
        plain, _ = self.redact(self.clip, "plain", "who=known", 1)  # nobody is matched: nothing is covered
        for method in ("blur", "pixelate"):
            frames, records = self.redact(self.clip, method, f"method={method}", 1)
            for i in range(10, len(frames), 20):
                for face in records[i]["faces"]:
                    x, y, w, h = (int(v) for v in face["box"])
                    area = (slice(max(0, y + h // 4), y + 3 * h // 4), slice(max(0, x + w // 4), x + 3 * w // 4))
                    before, after = (cv2.cvtColor(f[i][area], cv2.COLOR_BGR2GRAY).astype(np.float32)
                                     for f in (plain, frames))
                    # What is left once the six patches' own steps are smoothed away.
                    detail = [float(np.abs(p - cv2.GaussianBlur(p, (0, 0), w / 12)).mean())
                              for p in (before, after)]
                    self.assertLess(detail[1], 0.55 * detail[0] + 1, f"{method} frame {i}")
        outside = np.abs(frames.astype(int) - plain).max(axis=3)
        self.assertEqual(outside[:, -40:, -60:].max(), 0, "pixels away from every face changed")


class BinTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        support.need_data()
        Gst.init(None)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.gallery = support.fake_gallery(cls.temporary.name)
        cls.clip = os.path.join(support.VIDEOS, "liveportrait_d0.mp4")
        cls.bin = (f"spherebin detect-model=fake-detect embed-model=fake-embed gallery={cls.gallery}")

    def path(self, name):
        return os.path.join(self.temporary.name, name)

    def test_behind_decodebin_and_uridecodebin3(self):
        for source in (f"filesrc location={self.clip} ! decodebin", f"uridecodebin3 uri=file://{self.clip}"):
            with self.subTest(source=source):
                record = self.path("record.jsonl")
                road = f"{source} ! {self.bin} ! spherepublish location={record} ! fakesink"
                try:
                    stats = run_pipeline(road, timeout_s=60)
                except NoEnd as hang:
                    # Seen once in some hundred runs, with uridecodebin3 and a busy machine; not understood.
                    print(f"A pipeline did not end; once more. {hang}")
                    stats = run_pipeline(road)
                records = support.read_records(record)
                self.assertEqual(len(records), 78)
                self.assertTrue(all(len(r["faces"]) == 1 and r["faces"][0]["track"] == 1 for r in records))
                self.assertEqual(count(stats["detect"], "skipped"), 62)
                self.assertLessEqual(count(stats["embed"], "faces"), 8)

    def test_in_front_of_tee_splitmuxsink_and_hlssink2(self):
        run_pipeline(f"filesrc location={self.clip} ! decodebin ! {self.bin} ! sphereoverlay ! tee name=t "
                     f"t. ! queue ! videoconvert ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=25 "
                     f"! h264parse ! splitmuxsink location={self.path('part%02d.mp4')} max-size-time=1000000000 "
                     f"t. ! queue ! videoconvert ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=25 "
                     f"! h264parse ! hlssink2 target-duration=1 location={self.path('segment%02d.ts')} "
                     f"playlist-location={self.path('list.m3u8')}")
        made = os.listdir(self.temporary.name)
        self.assertGreaterEqual(len([name for name in made if name.startswith("part")]), 2)
        self.assertGreaterEqual(len([name for name in made if name.startswith("segment")]), 2)
        frames = support.probe(self.path("list.m3u8"), "stream=nb_read_frames", "-count_frames")
        self.assertEqual(int(frames["streams"][0]["nb_read_frames"]), 78)

    def test_two_streams_in_one_pipeline(self):
        records = [self.path("a.jsonl"), self.path("b.jsonl")]
        run_pipeline(" ".join(f"filesrc location={self.clip} ! decodebin ! {self.bin} ! "
                              f"spherepublish location={record} ! fakesink" for record in records))
        for record in records:
            tracks = [[face["track"] for face in frame["faces"]] for frame in support.read_records(record)]
            self.assertEqual(tracks, [[1]] * 78)

    def test_live_source(self):
        stats = run_pipeline(f"videotestsrc is-live=true num-buffers=50 ! video/x-raw,width=320,height=240,"
                             f"framerate=25/1 ! {self.bin} ! fakesink sync=true")
        self.assertEqual(count(stats["match"], "frames"), 50)

    def test_children_and_properties(self):
        element = Gst.ElementFactory.make("spherebin", None)
        for name in ("detect", "track", "align", "embed", "match"):
            self.assertEqual(element.get_child_by_name(name).get_factory().get_name(), "sphere" + name)
        self.assertEqual(element.get_property("inference-interval"), 5)
        self.assertEqual(element.find_property("inference-interval").default_value, 5)
        element.set_property("detect-threshold", 0.5)
        element.set_property("match-threshold", 0.25)
        element.set_property("max-lost", 700)
        self.assertAlmostEqual(element.get_child_by_name("detect").get_property("threshold"), 0.5)
        self.assertAlmostEqual(element.get_child_by_name("match").get_property("threshold"), 0.25)
        self.assertEqual(element.get_child_by_name("track").get_property("max-lost"), 700)
        found, child, _ = element.lookup("embed::model")
        self.assertTrue(found)
        child.set_property("model", "fake-embed")
        self.assertEqual(element.get_property("embed-model"), "fake-embed")
        for name in ("detect-model", "embed-stats", "gallery", "vote-window", "reembed-interval", "template"):
            self.assertIsNotNone(element.find_property(name), name)
        for name in ("threshold", "model", "stats"):
            self.assertIsNone(element.find_property(name), name)

    def test_landmarks_are_those_that_the_recogniser_knows(self):
        support.need_models("fr_feature", "fr_landmark")
        for model, given, used in (("fr_feature", "", "fr_landmark"), ("fr_feature", "none", "none"), ("fake-embed", "", "")):
            with self.subTest(model=model, given=given):
                element = Gst.parse_launch(f"spherebin detect-model=fake-detect embed-model={model} gallery={self.gallery}")
                element.set_property("landmark-model", given)
                self.assertEqual(element.set_state(Gst.State.READY), Gst.StateChangeReturn.SUCCESS)
                self.assertEqual(element.get_property("landmark-model"), used)
                element.set_state(Gst.State.NULL)
                self.assertEqual(element.get_property("landmark-model"), given)

    def test_starts_again_after_ready(self):
        pipeline = Gst.parse_launch(f"videotestsrc num-buffers=30 ! video/x-raw,width=320,height=240 ! {self.bin} "
                                    "! fakesink")
        for _ in range(3):
            pipeline.set_state(Gst.State.PLAYING)
            message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND,
                                                            Gst.MessageType.EOS | Gst.MessageType.ERROR)
            self.assertEqual(message.type, Gst.MessageType.EOS)
            pipeline.set_state(Gst.State.READY)
        pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    unittest.main(verbosity=2)
