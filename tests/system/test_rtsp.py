#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Live inputs: an RTSP server on the loopback, and the parsing of a V4L2 pipeline."""

import os
import tempfile
import threading
import unittest

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

import system_support as support  # noqa: E402

# Nothing of the machine's network is used.
HOST = "127.0.0.1"

PATTERN = ("videotestsrc is-live=true ! video/x-raw,width=640,height=360,framerate=25/1 ! x264enc "
           "tune=zerolatency key-int-max=25 ! rtph264pay name=pay0 pt=96 config-interval=1")


def served(launch):
    """Starts a server of one stream; returns (server, its URI)."""
    server = GstRtspServer.RTSPServer()
    server.set_address(HOST)
    server.set_service("0")  # any free port
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch)
    factory.set_shared(False)
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        raise AssertionError("the RTSP server could not bind to the loopback")
    return server, f"rtsp://{HOST}:{server.get_bound_port()}/cam"


class RtspTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        Gst.init(None)
        cls.loop = GLib.MainLoop()
        cls.thread = threading.Thread(target=cls.loop.run, daemon=True)
        cls.thread.start()
        cls.addClassCleanup(cls.loop.quit)
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.gallery = support.fake_gallery(cls.temporary.name)
        cls.pattern_server, cls.pattern_uri = served(f"( {PATTERN} )")
        cls.sound_server, cls.sound_uri = served(
            f"( {PATTERN} audiotestsrc is-live=true ! avenc_aac ! rtpmp4gpay name=pay1 pt=97 )")

    def launch(self, uri, detect, embed, gallery, frames):
        record = os.path.join(self.temporary.name, "record.jsonl")
        support.run(
            ["gst-launch-1.0", "-e", "rtspsrc", f"location={uri}", "!", "decodebin", "!",
             "spheredetect", *detect, "!", "spherealign", "!", "sphereembed", *embed, "!",
             "spherematch", f"gallery={gallery}", "!", "spherepublish", f"location={record}", "!",
             "fakesink", f"num-buffers={frames}"], timeout_s=90)
        return support.read_records(record)

    def test_pattern_with_fake_models(self):
        frames = self.launch(self.pattern_uri, ["model=fake-detect"], ["model=fake-embed"],
                             self.gallery, 50)
        self.assertGreaterEqual(len(frames), 50)
        times = [frame["pts"] for frame in frames]
        self.assertEqual(times, sorted(times))
        self.assertEqual((frames[0]["frame"]["width"], frames[0]["frame"]["height"]), (640, 360))
        self.assertTrue(frames[0]["faces"], "the fake detector finds a face in every picture")

    def test_clip_with_default_properties(self):
        support.need_data()
        support.need_models("fr_feature")
        clip = os.path.join(support.VIDEOS, "liveportrait_d18.mp4")
        server, uri = served(f"( filesrc location={clip} ! qtdemux ! h264parse ! rtph264pay "
                             "name=pay0 pt=96 config-interval=1 )")
        self.assertIsNotNone(server)
        gallery = os.path.join(self.temporary.name, "real.db")
        support.run(["spherectl", "enrol", "--gallery", gallery, "--id", "somebody", os.path.join(
            support.PHOTOS, "face_recognition", "obama_small.jpg")])
        frames = self.launch(uri, [], [], gallery, 40)
        self.assertGreaterEqual(len(frames), 40)
        found = sum(bool(frame["faces"]) for frame in frames)
        self.assertGreaterEqual(found, 0.9 * len(frames), "one man looks into the camera")

    def test_annotate_stops_in_order(self):
        """A live input that is stopped leaves a playable file with sound."""
        output = os.path.join(self.temporary.name, "live")
        result = support.run([support.ANNOTATE, "--gallery", self.gallery, "--output", output,
                              "--seconds", "4", *support.FAKE_MODELS, self.sound_uri], timeout_s=90)
        annotated, record = result.stdout.strip().splitlines()[-2:]
        stream = support.probe(annotated, "stream=nb_read_frames,width,height", "-count_frames")
        frames = int(stream["streams"][0]["nb_read_frames"])
        self.assertGreater(frames, 25)
        self.assertEqual(frames, len(support.read_records(record)))
        sound = support.run(["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries",
                             "stream=codec_name", "-of", "csv=p=0", annotated])
        self.assertEqual(sound.stdout.strip(), "aac")

    def test_no_server(self):
        result = support.run([support.ANNOTATE, "--gallery", self.gallery, f"rtsp://{HOST}:9/cam"],
                             check=False, cwd=self.temporary.name)
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"no answer from rtsp://{HOST}:9/cam", result.stdout)

    def test_camera_parses(self):
        pipeline = Gst.parse_launch(
            "v4l2src device=/dev/video0 ! decodebin ! spheredetect ! spherealign ! sphereembed ! "
            "spherematch gallery=people.db ! fakesink")
        self.assertIsInstance(pipeline, Gst.Pipeline)

    def test_no_camera(self):
        if os.path.exists("/dev/video63"):
            self.skipTest("this machine has a camera /dev/video63")
        result = support.run([support.ANNOTATE, "--gallery", self.gallery, "/dev/video63"], check=False,
                             cwd=self.temporary.name)
        self.assertEqual(result.returncode, 2)
        self.assertIn("there is no camera /dev/video63", result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
