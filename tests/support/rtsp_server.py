#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A camera for tests, in a process of its own so that it can be killed and frozen.

usage: rtsp_server.py PORT [--loss PROBABILITY] [--user NAME --password WORD] [--video FILE.h264]
Serves a moving ball, or the H.264 byte stream of a file for ever at 25 fps, as rtsp://127.0.0.1:PORT/cam (0: any free port) and writes "ready PORT".
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURES = ("videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 "
            "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25")


LOOP = ("multifilesrc location={} loop=true caps=video/x-h264,stream-format=byte-stream,framerate=25/1 ! h264parse")


class Factory(GstRtspServer.RTSPMediaFactory):
    """Each client has pictures of its own; packets get lost behind the payloader."""

    def __init__(self, loss, video):
        super().__init__()
        self.pictures = LOOP.format(video) if video else PICTURES
        self.loss = loss
        self.set_shared(False)

    def do_create_element(self, _url):
        camera = Gst.Bin.new(None)
        pictures = Gst.parse_bin_from_description(self.pictures, True)
        payload = "rtph264pay pt=96 config-interval=1 mtu=600"
        if self.loss > 0:
            payload += f" ! netsim drop-probability={self.loss}"
        packets = Gst.parse_bin_from_description(payload, True)
        packets.set_name("pay0")
        camera.add(pictures)
        camera.add(packets)
        pictures.link(packets)
        return camera


def with_password(server, factory, user, password):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--user")
    parser.add_argument("--video")
    parser.add_argument("--password")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = Factory(options.loss, options.video)
    if options.user:
        with_password(server, factory, options.user, options.password)
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        raise SystemExit(f"cannot listen at 127.0.0.1:{options.port}")
    print(f"ready {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
