#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The annotated video and the record of each clip are exactly as long as the clip.

Every clip goes through pipelines/annotate.sh with the fake models, two short ones with the real
ones as well.
"""

import glob
import os
import tempfile
import unittest
from fractions import Fraction

import system_support as support

STREAM = "stream=width,height,r_frame_rate,avg_frame_rate,duration,nb_read_frames"


def video_facts(path):
    stream = support.probe(path, STREAM, "-count_frames")["streams"][0]
    return {
        "frames": int(stream["nb_read_frames"]),
        "size": (stream["width"], stream["height"]),
        "rate": Fraction(stream["r_frame_rate"]),
        "average rate": Fraction(stream["avg_frame_rate"]),
        "duration": float(stream["duration"]),
    }


def frame_times(path):
    """Presentation times (s) in display order."""
    frames = support.probe(path, "frame=best_effort_timestamp_time")["frames"]
    return [float(frame["best_effort_timestamp_time"]) for frame in frames]


def audio_seconds(path):
    result = support.run(["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries",
                          "stream=duration", "-of", "csv=p=0", path])
    return float(result.stdout) if result.stdout.strip() else None


class ClipTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        support.need_data()
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.fake_gallery = support.fake_gallery(cls.temporary.name)

    def annotate(self, clip, gallery, models):
        """Paths of the annotated video and of the record."""
        output = os.path.join(self.temporary.name, "out")
        result = support.run([support.ANNOTATE, "--gallery", gallery, "--output", output, *models, clip],
                             timeout_s=600)
        annotated, record = result.stdout.strip().splitlines()[-2:]
        return annotated, record

    def check_video(self, clip, annotated):
        before, after = video_facts(clip), video_facts(annotated)
        self.assertAlmostEqual(before.pop("duration"), after.pop("duration"), delta=0.001)
        self.assertEqual(before, after)
        sound_before, sound_after = audio_seconds(clip), audio_seconds(annotated)
        self.assertEqual(sound_before is None, sound_after is None)
        if sound_before is not None:
            # The packets that prime the decoder and that the input's edit list hides are not carried over:
            # up to three of 1024 samples, 23 ms each at 44.1 kHz.
            self.assertAlmostEqual(sound_before, sound_after, delta=0.08)

    def check_record(self, clip, record):
        times = frame_times(clip)
        frames = support.read_records(record)
        self.assertEqual(len(frames), len(times))
        first_ns = frames[0]["pts"]
        for i, (frame, time_s) in enumerate(zip(frames, times)):
            self.assertEqual(frame["schema"], "sphere.frame/1")
            # ffprobe prints microseconds.
            self.assertAlmostEqual((frame["pts"] - first_ns) / 1e9, time_s - times[0], delta=2e-6,
                                   msg=f"frame {i}")
        return frames

    def check_clip(self, name):
        clip = os.path.join(support.VIDEOS, name)
        annotated, record = self.annotate(clip, self.fake_gallery, support.FAKE_MODELS)
        self.check_video(clip, annotated)
        self.check_record(clip, record)

    def check_with_real_models(self, name, faces_per_frame):
        support.need_models("fr_feature")
        clip = os.path.join(support.VIDEOS, name)
        gallery = os.path.join(self.temporary.name, "real.db")
        if not os.path.exists(gallery):
            support.run(["spherectl", "enrol", "--gallery", gallery, os.path.join(
                support.PHOTOS, "face_recognition", "knn", "train")], timeout_s=300)
        annotated, record = self.annotate(clip, gallery, [])
        self.check_video(clip, annotated)
        frames = self.check_record(clip, record)
        counts = [len(frame["faces"]) for frame in frames]
        self.assertGreaterEqual(sum(counts) / len(counts), faces_per_frame)
        for frame in frames:
            for face in frame["faces"]:
                # Nobody of the clips is enrolled.
                self.assertIn(face["state"], ("unknown", "unusable", "ambiguous"))

    def test_real_models_street(self):
        self.check_with_real_models("facenet_pytorch_video.mp4", 3)

    def test_real_models_one_man(self):
        self.check_with_real_models("liveportrait_d0.mp4", 1)


class EveryClipIsTested(unittest.TestCase):
    def test_all_clips_are_there(self):
        support.need_data()
        self.assertGreaterEqual(len(clips()), 15)


def clips():
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(support.VIDEOS, "*.mp4")))


def add_case(name):
    case = "test_" + name.removesuffix(".mp4").replace("-", "_")
    setattr(ClipTest, case, lambda self: self.check_clip(name))


for clip_name in clips():
    add_case(clip_name)

if __name__ == "__main__":
    unittest.main(verbosity=2)
