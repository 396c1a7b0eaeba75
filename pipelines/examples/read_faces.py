#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints the faces of a video file, from Python. usage: read_faces.py FILE [GALLERY]"""
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSphere", "1.0")
from gi.repository import Gst, GstSphere  # noqa: E402


def print_faces(_pad, info):
    buffer = info.get_buffer()
    meta = GstSphere.buffer_get_sphere_face_meta(buffer)
    for i in range(meta.get_n_faces() if meta else 0):
        face = meta.get_face(i)
        x, y, width, height = face.get_box()
        name = face.get_match_label() or GstSphere.face_state_to_string(face.get_state())
        print(f"{buffer.pts / Gst.SECOND:.3f} {x:.0f},{y:.0f} {width:.0f}x{height:.0f} {name}")
    return Gst.PadProbeReturn.OK


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: read_faces.py FILE [GALLERY]")
    Gst.init(None)
    road = "filesrc name=source ! decodebin ! spheredetect"
    if len(sys.argv) > 2:
        road += " ! spherealign ! sphereembed ! spherematch name=match"
    pipeline = Gst.parse_launch(road + " ! fakesink name=end")
    pipeline.get_by_name("source").set_property("location", sys.argv[1])
    if len(sys.argv) > 2:
        pipeline.get_by_name("match").set_property("gallery", sys.argv[2])
    pad = pipeline.get_by_name("end").get_static_pad("sink")
    pad.add_probe(Gst.PadProbeType.BUFFER, print_faces)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        sys.exit(message.parse_error()[0].message)


if __name__ == "__main__":
    main()
