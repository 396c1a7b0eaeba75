#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Broken and unusual inputs through a pipeline: an error that says so or a right result; never a crash, a
hang or a leak."""

import os
import subprocess
import tempfile
import unittest

import system_support as support

ROAD = ("spheredetect model=fake-detect ! spherealign ! sphereembed model=fake-embed ! "
        "spherematch gallery={gallery} ! spherepublish location={records} ! fakesink")

# What decodes and what does not is the decoders' business; pinned so that a change is seen.
FAULTS = {
    "exif_orientation6.jpg": "frames",
    "gray.jpg": "frames",
    "gray16.png": "frames",
    "one_pixel.png": "frames",
    "rgb16.png": "frames",
    "rgba.png": "frames",
    "tall_3x4000.png": "frames",
    "wide_4000x3.png": "frames",
    "truncated_faststart.mp4": "frames",
    "text.jpg": "error",
    "truncated_no_moov.mp4": "error",
    "zero_bytes.jpg": "error",
    "truncated.jpg": "any",  # depends on the JPEG decoder's patience
    "truncated.png": "any",
}


# Plays its arguments to the end. gst-launch-1.0 of GStreamer 1.22 would do but for this: it waits for ever where
# an error comes while it starts (an empty file, with our elements and without, in every second run).
PLAYER = ["/usr/bin/python3", "-c", """
import sys, gi
gi.require_version('Gst', '1.0')
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch(' '.join(sys.argv[1:]))
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(
    Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
pipeline.set_state(Gst.State.NULL)
if message.type == Gst.MessageType.ERROR:
    sys.exit('ERROR: ' + message.parse_error()[0].message)
"""]


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        support.need_data()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.gallery = support.fake_gallery(self.folder.name)
        self.records = os.path.join(self.folder.name, "records.jsonl")

    def launch(self, source, player, env=None):
        road = ROAD.format(gallery=self.gallery, records=self.records)
        result = subprocess.run(["timeout", "-s", "KILL", "60", *player, *f"{source} ! {road}".split()],
                                capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                env=dict(os.environ, **(env or {})), check=False)
        self.assertNotIn(result.returncode, (137, -9), f"it hung: {result.stderr}")
        self.assertGreaterEqual(result.returncode, 0, f"ended by a signal: {result.stderr}")
        self.assertNotIn("CRITICAL", result.stderr)
        return result

    def test_each_fault_is_a_result_or_a_clear_error(self):
        folder = os.path.join(support.DATA, "data", "faults")
        self.assertEqual(sorted(os.listdir(folder)), sorted(FAULTS), "the set of faults changed")
        for name, expected in FAULTS.items():
            with self.subTest(name):
                # sphere elements take no 16-bit and no palette formats: those are converted first.
                result = self.launch(
                    f"filesrc location={os.path.join(folder, name)} ! decodebin ! videoconvert", PLAYER)
                frames = len(support.read_records(self.records)) \
                    if os.path.exists(self.records) else 0
                if expected == "frames":
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertGreater(frames, 0)
                elif expected == "error":
                    self.assertNotEqual(result.returncode, 0)
                    self.assertIn("ERROR", result.stderr)

    def test_no_leak(self):
        clip = os.path.join(support.VIDEOS, "liveportrait_d18.mp4")
        result = self.launch(
            f"filesrc location={clip} ! decodebin ! videorate ! video/x-raw,framerate=2/1",
            ["gst-launch-1.0"], env={"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7", "GST_DEBUG_NO_COLOR": "1"})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(support.leaked_objects(result.stderr), [])

    def test_the_leaks_tracer_would_see_one(self):
        # A positive control: an element that is never unreffed is reported.
        program = ("import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst\n"
                   "import ctypes; Gst.init(None)\n"
                   "lib = ctypes.CDLL('libgstreamer-1.0.so.0')\n"
                   "lib.gst_element_factory_make(b'spheredetect', None)\n"
                   "Gst.deinit()\n")
        result = subprocess.run(
            ["/usr/bin/python3", "-c", program], capture_output=True, text=True, check=False,
            env=dict(os.environ, GST_TRACERS="leaks", GST_DEBUG="GST_TRACER:7"))
        self.assertIn("GstSphereDetect", result.stderr)


class Refusals(unittest.TestCase):
    """Missing models and galleries stop the pipeline before the first frame, with the remedy."""

    @classmethod
    def setUpClass(cls):
        support.need_plugin()

    def launch(self, road):
        result = subprocess.run(
            ["timeout", "-s", "KILL", "60", "gst-launch-1.0", "videotestsrc", "num-buffers=3", "!",
             *road.split(), "!", "fakesink"],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        self.assertGreater(result.returncode, 0, "it ran, or was ended by a signal")
        self.assertNotEqual(result.returncode, 137, "it hung")
        return result.stderr

    def test_missing_gallery(self):
        said = self.launch("spheredetect model=fake-detect ! spherealign ! sphereembed model=fake-embed"
                           " ! spherematch gallery=/no/such/people.db")
        self.assertIn("/no/such/people.db", said)
        self.assertIn("spherectl enrol", said)

    def test_missing_model(self):
        said = self.launch("spheredetect model=sphereface20-that-is-not")
        self.assertIn("sphereface20-that-is-not", said)
        said = self.launch("spheredetect model=fake-detect ! spherealign ! sphereembed model=sphereface20")
        self.assertIn("sphereface_model.caffemodel", said)
        self.assertIn("spherectl models fetch sphereface20", said)

    def test_bad_values(self):
        self.assertIn("input-size", self.launch("spheredetect model=fake-detect input-size=12by9"))
        self.assertIn("template", self.launch("spheredetect model=fake-detect ! spherealign template=oval"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
