#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names of a sidecar (frame records of spherepublish) as WebVTT: cues that any player shows as subtitles.

A cue is somebody's stay at about one place: where the face moves on, the next cue begins there.
"""

import argparse
import json
import os
import statistics
import sys

LONGEST_GAP_S = 0.5  # without being seen, within one cue
LARGEST_MOVE = 0.08  # of the frame's width and height, within one cue
ABOVE = 9  # % of the frame's height from a box's top to the top of its text
TEXT_WIDTH = 40  # % of the frame's width


def read_records(path):
    """Frame records in the order of time; a last line that is not whole is left out."""
    records = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                if not line.endswith("\n"):
                    break
                raise SystemExit(f"error: {path}:{number}: is no record ({error})")
            if isinstance(record, dict) and record.get("schema") == "sphere.frame/1":
                time = record["pts"] if record["pts"] is not None else record["stream_time"]
                if time is not None:
                    records.append((time / 1e9, record))
    records.sort(key=lambda pair: pair[0])
    return records


def name_of(face):
    if face["match"]:
        return face["match"]["label"] or face["match"]["id"]
    return "unknown" if face["state"] == "unknown" else None


class Span:
    def __init__(self, time, name, place, top):
        self.begin = self.end = time
        self.name, self.place, self.tops = name, place, [top]

    def goes_on(self, time, name, place):
        return (name == self.name and time - self.end <= LONGEST_GAP_S and
                all(abs(a - b) <= LARGEST_MOVE for a, b in zip(place, self.place)))


def spans_of(records):
    done, running = [], {}
    for time, record in records:
        width, height = record["frame"]["width"], record["frame"]["height"]
        for face in record["faces"]:
            name = name_of(face)
            if name is None or not width or not height:
                continue
            x, y, w, h = face["box"]
            place, top = ((x + w / 2) / width, (y + h / 2) / height), y / height
            key = name if face["track"] is None else face["track"]
            span = running.get(key)
            if span and span.goes_on(time, name, place):
                span.end = time
                span.tops.append(top)
                continue
            if span:
                span.end = min(span.end + LONGEST_GAP_S, time)  # it gives way to the next
                done.append((span, True))
            running[key] = Span(time, name, place, top)
    return done + [(span, False) for span in running.values()]


def clock(seconds):
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def escaped(text):
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(text.split()) or "?"


def cues_of(records):
    if not records:
        return []
    start = records[0][0]
    steps = [b[0] - a[0] for a, b in zip(records, records[1:])]
    frame_s = statistics.median(steps) if steps else 0.04
    cues = []
    for span, followed in spans_of(records):
        end = span.end if followed else span.end + frame_s
        position = min(max(round(100 * span.place[0]), 0), 100)
        line = min(max(round(100 * min(span.tops)) - ABOVE, 0), 90)
        cues.append((span.begin - start, max(end - start, span.begin - start + 0.001),
                     f"line:{line}% position:{position}% size:{TEXT_WIDTH}% align:center", escaped(span.name)))
    return sorted(cues)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sidecar", help="file of spherepublish")
    parser.add_argument("webvtt", help="file to write (mode 0600)")
    arguments = parser.parse_args()
    try:
        cues = cues_of(read_records(arguments.sidecar))
        file = os.open(arguments.webvtt, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        sys.exit(f"error: {error}")
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"error: {arguments.sidecar}: a record is not as spherepublish writes them ({error!r})")
    with open(file, "w", encoding="utf-8") as out:
        out.write("WEBVTT\n")
        for begin, end, settings, text in cues:
            out.write(f"\n{clock(begin)} --> {clock(end)} {settings}\n{text}\n")


if __name__ == "__main__":
    main()
