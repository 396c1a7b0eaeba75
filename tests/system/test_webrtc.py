#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherebin in front of webrtcbin: two peers in this process, over the loopback address alone, and decoded frames."""

import ctypes
import json
import os
import tempfile
import threading
import unittest

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

import system_support as support  # noqa: E402

FRAMES = 30  # that the receiver must decode
TIMEOUT_S = 90
SIZE = (320, 240)
ELEMENTS = ("webrtcbin", "nicesrc", "dtlsdec", "srtpdec", "vp8enc", "vp8dec", "rtpvp8pay")


def need_webrtc():
    missing = [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]
    if missing:
        raise unittest.SkipTest(f"GStreamer has no {', '.join(missing)} (gstreamer1.0-nice, -plugins-bad, -good)")
    try:
        gi.require_version("GstWebRTC", "1.0")
        gi.require_version("GstSdp", "1.0")
        gi.require_version("Nice", "0.1")
        from gi.repository import GstSdp, GstWebRTC  # noqa: F401 - session descriptions are of their types
    except (ImportError, ValueError) as error:
        raise unittest.SkipTest(f"{error} (gir1.2-gst-plugins-bad-1.0, gir1.2-nice-0.1)")


def keep_to_loopback(peer):
    """The ICE agent has no address but 127.0.0.1, and no server to ask for another."""
    from gi.repository import Nice
    ice = peer.get_property("ice-agent")
    # webrtcbin's own reference is a floating one, which PyGObject takes for its own: give it back.
    ctypes.CDLL("libgobject-2.0.so.0").g_object_ref(ctypes.c_void_p(hash(ice)))
    agent = ice.get_property("agent")
    address = Nice.Address.new()
    address.set_from_string("127.0.0.1")
    assert agent.add_local_address(address)
    agent.set_property("upnp", False)


class WebrtcTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        support.need_plugin()
        Gst.init(None)
        need_webrtc()
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.gallery = support.fake_gallery(cls.temporary.name)

    def build(self):
        width, height = SIZE
        self.record = os.path.join(self.temporary.name, "record.jsonl")
        self.pipeline = Gst.parse_launch(
            f"videotestsrc is-live=true pattern=smpte ! video/x-raw,width={width},height={height},framerate=15/1 ! "
            f"spherebin detect-model=fake-detect embed-model=fake-embed gallery={self.gallery} ! sphereoverlay ! "
            f"spherepublish location={self.record} ! queue ! videoconvert ! "
            "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=15 ! rtpvp8pay ! "
            "application/x-rtp,media=video,encoding-name=VP8,payload=96 ! webrtcbin name=sender "
            "webrtcbin name=receiver")
        self.sender = self.pipeline.get_by_name("sender")
        self.receiver = self.pipeline.get_by_name("receiver")
        self.candidates, self.sizes, self.decoded = [], set(), 0
        self.enough = threading.Event()
        for peer, other in ((self.sender, self.receiver), (self.receiver, self.sender)):
            keep_to_loopback(peer)
            peer.connect("on-ice-candidate", self.on_candidate, other)
        self.sender.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.receiver.connect("pad-added", self.on_pad_added)

    def on_candidate(self, _peer, line, candidate, other):
        self.candidates.append(candidate)
        other.emit("add-ice-candidate", line, candidate)

    def on_negotiation_needed(self, sender):
        sender.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise):
        reply = promise.get_reply()  # owns the description
        offer = reply.get_value("offer")
        self.sender.emit("set-local-description", offer, Gst.Promise.new())
        self.receiver.emit("set-remote-description", offer, Gst.Promise.new())
        self.receiver.emit("create-answer", None, Gst.Promise.new_with_change_func(self.on_answer))

    def on_answer(self, promise):
        reply = promise.get_reply()
        answer = reply.get_value("answer")
        self.receiver.emit("set-local-description", answer, Gst.Promise.new())
        self.sender.emit("set-remote-description", answer, Gst.Promise.new())

    def on_pad_added(self, _receiver, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        branch = Gst.parse_bin_from_description("rtpvp8depay ! vp8dec ! fakesink name=sink sync=false "
                                                "signal-handoffs=true", True)
        branch.get_by_name("sink").connect("handoff", self.on_frame)
        self.pipeline.add(branch)
        branch.sync_state_with_parent()
        pad.link(branch.get_static_pad("sink"))

    def on_frame(self, _sink, buffer, pad):
        caps = pad.get_current_caps().get_structure(0)
        self.sizes.add((caps.get_int("width").value, caps.get_int("height").value))
        self.decoded += buffer.get_size() > 0
        if self.decoded >= FRAMES:
            self.enough.set()

    def test_the_other_peer_decodes_what_spherebin_passed_on(self):
        self.build()
        try:
            self.pipeline.set_state(Gst.State.PLAYING)
            self.enough.wait(TIMEOUT_S)
            error = self.pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
            self.assertIsNone(error, error and error.parse_error())
        finally:
            self.pipeline.set_state(Gst.State.NULL)
        self.assertGreaterEqual(self.decoded, FRAMES, f"candidates: {self.candidates}")
        self.assertEqual(self.sizes, {SIZE})
        for candidate in self.candidates:
            self.assertEqual(candidate.split()[4], "127.0.0.1", candidate)
        with open(self.record, encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        self.assertGreaterEqual(len(records), FRAMES)
        self.assertTrue(all(len(record["faces"]) == 1 for record in records))


if __name__ == "__main__":
    unittest.main(verbosity=2)
