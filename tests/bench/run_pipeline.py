# SPDX-License-Identifier: MIT
"""Runs one pipeline to its end and prints wall time, CPU time, peak memory and each element's stats.

usage: run_pipeline.py PIPELINE; elements with a `stats` property are reported under their name.
Frames are counted at the sink named `end` (a fakesink); first_s is the time from here to its first
frame, start_s to the first frame of all sinks.
"""
import json
import resource
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402


def stats_of(element):
    if not any(p.name == "stats" for p in element.list_properties()):
        return None
    structure = element.get_property("stats")
    if not structure.get_name().startswith("sphere"):
        return None
    return {structure.nth_field_name(i): structure.get_value(structure.nth_field_name(i))
            for i in range(structure.n_fields())}


def main():
    Gst.init(None)
    begin = time.perf_counter()
    pipeline = Gst.parse_launch(sys.argv[1])
    end = pipeline.get_by_name("end")
    first = []

    def note_first(_pad, _info):
        first.append(time.perf_counter() - begin)
        return Gst.PadProbeReturn.REMOVE

    end.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, note_first)
    pipeline.set_state(Gst.State.PAUSED)
    pipeline.get_state(Gst.CLOCK_TIME_NONE)
    started = time.perf_counter()
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    wall = time.perf_counter() - started
    if message.type == Gst.MessageType.ERROR:
        pipeline.set_state(Gst.State.NULL)
        sys.exit(message.parse_error()[0].message)
    rendered = end.get_property("stats").get_value("rendered")
    elements = {e.get_name(): s for e in pipeline.children if (s := stats_of(e))}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"frames": rendered, "start_s": round(started - begin, 3),
                      "first_s": round(first[0], 3) if first else None, "wall_s": wall,
                      "cpu_s": usage.ru_utime + usage.ru_stime,
                      "peak_rss_mib": round(usage.ru_maxrss / 1024, 1), "elements": elements}))
    pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
