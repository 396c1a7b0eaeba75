#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Serves one pipeline to all who ask. usage: rtsp_server.py ADDRESS PORT WORD...

The words are a gst-launch line that ends with a payloader named pay0. It begins with the first viewer and ends with the
last, and all see the same."""
import shlex
import signal
import sys

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer
except (ImportError, ValueError) as error:
    sys.exit(f"error: {error}\n    apt-get install python3-gi gir1.2-gst-rtsp-server-1.0")


def gst_quoted(word):
    """A word as gst_parse_launch reads it back: PROPERTY=VALUE with a value of any characters."""
    name, equals, value = word.partition("=")
    if not equals or not any(c in value for c in " \t'\"\\!;"):
        return word
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def main():
    if len(sys.argv) < 4:
        sys.exit("usage: rtsp_server.py ADDRESS PORT WORD...")
    Gst.init(None)
    address, port, words = sys.argv[1], sys.argv[2], sys.argv[3:]
    line = "( " + " ".join(map(gst_quoted, words)) + " )"
    try:
        Gst.parse_launch(line)  # here, where a mistake can be told; the server's own try is silent
    except GLib.Error as error:
        sys.exit(f"error: {error.message}\n    in: {shlex.join(words)}")
    server = GstRtspServer.RTSPServer(address=address, service=port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(line)
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    if server.attach(None) == 0:
        sys.exit(f"error: cannot listen at {address}:{port}: is the port taken?")
    loop = GLib.MainLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    print(f"rtsp://{address}:{port}/live", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
