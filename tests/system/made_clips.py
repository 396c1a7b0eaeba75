# SPDX-License-Identifier: MIT
"""Clips with known truth: faces of photographs pasted along known paths onto a picture without faces."""

import json
import os

import cv2
import numpy as np

import system_support as support

FPS = 25
SIZE = (640, 480)
FACE_PX = 90  # height of a pasted face's box
TRAIN = os.path.join(support.PHOTOS, "face_recognition", "knn", "train")
# The photograph that is pasted; the others of the folder are enrolled.
PASTED = {"obama": "obama.jpg", "biden": "biden.jpg", "kit_harington": "john1.jpeg",
          "rose_leslie": "img2.jpg"}


def largest_face(path):
    listing = json.loads(support.run(["spherectl", "detect", "--json", path], timeout_s=300).stdout)
    return max(listing["images"][0]["faces"], key=lambda face: face["box"][2] * face["box"][3])["box"]


class Cutout:
    """A head: its pixels, how much of each is pasted, and where in it the face's box lies."""

    def __init__(self, person):
        path = os.path.join(TRAIN, person, PASTED[person])
        picture = cv2.imread(path)
        x, y, w, h = largest_face(path)
        scale = FACE_PX / h
        left, top = max(0, int(x - 0.35 * w)), max(0, int(y - 0.35 * h))
        right, bottom = min(picture.shape[1], int(x + 1.35 * w)), min(picture.shape[0], int(y + 1.3 * h))
        head = picture[top:bottom, left:right]
        self.pixels = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self.box = np.array([(x - left) * scale, (y - top) * scale, w * scale, h * scale])
        rows, columns = self.pixels.shape[:2]
        mask = np.zeros((rows, columns), np.float32)
        cv2.ellipse(mask, (columns // 2, rows // 2), (int(columns * 0.46), int(rows * 0.47)), 0, 0, 360, 1, -1)
        self.mask = cv2.GaussianBlur(mask, (0, 0), 2.5)[..., None]

    def paste(self, frame, center):
        """Pastes the face's box's middle at `center`; the box in the frame, and where the head covers it."""
        x = int(round(center[0] - self.box[0] - self.box[2] / 2))
        y = int(round(center[1] - self.box[1] - self.box[3] / 2))
        rows, columns = self.pixels.shape[:2]
        x0, y0 = max(0, x), max(0, y)
        x1, y1 = min(frame.shape[1], x + columns), min(frame.shape[0], y + rows)
        covered = np.zeros(frame.shape[:2], np.float32)
        if x0 < x1 and y0 < y1:
            part = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
            mask = self.mask[part]
            target = frame[y0:y1, x0:x1]
            target[:] = (mask * self.pixels[part] + (1 - mask) * target).astype(np.uint8)
            covered[y0:y1, x0:x1] = mask[..., 0]
        return self.box + np.array([x, y, 0, 0]), covered


def visible_share(box, shape, covers):
    """How much of the box is inside the frame and under none of the covers."""
    x0, y0 = int(round(box[0])), int(round(box[1]))
    x1, y1 = int(round(box[0] + box[2])), int(round(box[1] + box[3]))
    inside = (slice(max(0, y0), min(shape[0], y1)), slice(max(0, x0), min(shape[1], x1)))
    seen = np.ones(shape[:2], np.float32)
    for cover in covers:
        seen = seen * (1 - cover)
    return float(seen[inside].sum()) / max(1, (x1 - x0) * (y1 - y0))


def make_clip(path, paths, frames, bar=None):
    """`paths`: person -> function of the frame's number to the face's middle, farthest first. `bar`: function
    of the frame's number to (x0, x1) of a wall in front of all, or None. Returns a list a frame of
    {person: (box, visible share)}."""
    background = cv2.resize(cv2.imread(os.path.join(support.PHOTOS, "no_faces", "table_frame.jpg")), SIZE)
    cutouts = {person: Cutout(person) for person in paths}
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), FPS, SIZE)
    truth = []
    for i in range(frames):
        frame = background.copy()
        boxes, covers = {}, {}
        for person, place in paths.items():
            boxes[person], covers[person] = cutouts[person].paste(frame, place(i))
        wall = np.zeros(frame.shape[:2], np.float32)
        if bar and bar(i):
            x0, x1 = bar(i)
            frame[:, x0:x1] = (70, 90, 80)
            wall[:, x0:x1] = 1
        order = list(paths)
        truth.append({
            person: (boxes[person], visible_share(
                boxes[person], frame.shape,
                [covers[nearer] for nearer in order[order.index(person) + 1:]] + [wall]))
            for person in order})
        writer.write(frame)
    writer.release()
    return truth


def crossing(path, frames=110):
    """Two people walk past each other, one in front of the other; a third stands below; a fourth is behind a
    wall for half a second."""
    return make_clip(path, {
        "biden": lambda i: (570 - 4.6 * i, 128),
        "obama": lambda i: (70 + 4.6 * i, 118),
        "kit_harington": lambda i: (150 + 10 * np.sin(i / 12), 350),
        "rose_leslie": lambda i: (330 + 1.5 * i, 345 + 6 * np.sin(i / 9)),
    }, frames, bar=lambda i: (360, 480) if 45 <= i < 58 else None)


def runners(path, frames=45):
    """Two people run through the picture, four heads a second; one of them up and down as well."""
    return make_clip(path, {
        "biden": lambda i: (600 - 14 * i, 150),
        "obama": lambda i: (40 + 11 * i, 340 + 30 * np.sin(i / 3)),
    }, frames)


def enrol(gallery):
    """Enrols the four by photographs that are not pasted (rose_leslie and kit have one other each)."""
    for person, pasted in PASTED.items():
        others = [os.path.join(TRAIN, person, name) for name in sorted(os.listdir(os.path.join(TRAIN, person)))
                  if name != pasted]
        support.run(["spherectl", "enrol", "--gallery", gallery, "--id", person, *others], timeout_s=300)
    return gallery


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (a[2] * a[3] + b[2] * b[3] - both)
