#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The pictures of docs/detectors.md: all detectors side by side, the order of the landmarks, the crops of all templates.

  draw_examples.py --photos DIR --out DIR

--photos holds sample1.jpg to sample6.jpg, the demo photographs of the npm package @vladmandic/face-api (MIT), as
`npm pack @vladmandic/face-api` and package/demo give them. It needs spherectl on the PATH and OpenCV's Python.
Crops are the product's own: thumbnails of galleries made with a recogniser of each template.
"""
import argparse
import json
import os
import sqlite3
import subprocess
import tempfile

import cv2
import numpy as np

TEMPLATES = {  # where each template's source has the points, as x, y in the crop
    "sphereface-112x96": [(30.2946, 51.6963), (65.5318, 51.5014), (48.0252, 71.7366), (33.5493, 92.3655), (62.7299, 92.2041)],
    "arcface-112x112": [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)],
    "openface-96x96": [(26.5508, 15.7558), (67.8976, 14.9532), (47.2410, 40.5223), (30.9311, 61.8247), (65.3010, 61.1377)],
    "box-96x96": [],
    "box-55x47": [],
}
COLOURS = [(40, 40, 255), (255, 120, 40), (0, 255, 255), (60, 220, 60), (255, 80, 255)]
NAMES = ["1 left eye", "2 right eye", "3 nose", "4 left mouth", "5 right mouth"]
TILE = 300


def spherectl(*arguments, env=None):
    done = subprocess.run(["spherectl", *arguments], capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError(" ".join(arguments) + ": " + done.stderr)
    return json.loads(done.stdout) if "--json" in arguments else None


def detectors():
    models = spherectl("models", "list", "--json")["models"]
    return [m["name"] for m in models if m["task"] == "detect" and m["installed"] and not m["name"].startswith("fake")]


def text(image, words, place, colour=(255, 255, 255), size=0.45):
    cv2.putText(image, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def rows_of(tiles, columns):
    blank = np.zeros_like(tiles[0])
    tiles = tiles + [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i:i + columns]) for i in range(0, len(tiles), columns)])


def crowd(photos, folder):
    """The six photographs as one of 1280x1275, two a row"""
    tiles = [cv2.resize(cv2.imread(os.path.join(photos, f"sample{i}.jpg"))[:1275], (640, 425), interpolation=cv2.INTER_AREA)
             for i in range(1, 7)]
    path = os.path.join(folder, "crowd.png")
    cv2.imwrite(path, rows_of(tiles, 2))
    return path


def side_by_side(photos, folder, out):
    sheet = os.path.join(folder, "sheet.png")
    spherectl("detect", "--json", "--compare", sheet, crowd(photos, folder))
    smaller = cv2.resize(cv2.imread(sheet), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    cv2.imwrite(os.path.join(out, "detectors.jpg"), smaller, [cv2.IMWRITE_JPEG_QUALITY, 60])


def landmark_order(photos, folder, out):
    """One turned and one frontal face, by every detector that has landmarks"""
    picture = cv2.resize(cv2.imread(os.path.join(photos, "sample6.jpg")), (960, 768), interpolation=cv2.INTER_AREA)
    path = os.path.join(folder, "landmarks.png")
    cv2.imwrite(path, picture)
    tiles = []
    for detector in detectors():
        faces = [f for f in spherectl("detect", "--json", "--detector", detector, path)["images"][0]["faces"] if f["landmarks"]]
        wanted = (205, 300)  # a nose
        near = min(faces, key=lambda f: np.hypot(*(np.array(f["landmarks"][2]) - wanted)), default=None)
        if near is None:
            continue
        left, top, side = wanted[0] - 75, wanted[1] - 85, 150
        tile = cv2.resize(picture[top:top + side, left:left + side], (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        scale = TILE / side
        x, y, w, h = near["box"]
        cv2.rectangle(tile, (int((x - left) * scale), int((y - top) * scale)),
                      (int((x + w - left) * scale), int((y + h - top) * scale)), (60, 220, 60), 1)
        for i, (px, py) in enumerate(near["landmarks"]):
            place = int((px - left) * scale), int((py - top) * scale)
            cv2.circle(tile, place, 4, COLOURS[i], -1, cv2.LINE_AA)
            text(tile, str(i + 1), (place[0] + 5, place[1] - 4), COLOURS[i])
        text(tile, detector, (6, 18))
        tiles.append(tile)
    legend = np.zeros((TILE, TILE, 3), np.uint8)
    for i, name in enumerate(NAMES):
        text(legend, name, (30, 60 + 40 * i), COLOURS[i], 0.6)
    text(legend, "left and right of the picture", (30, 270))
    cv2.imwrite(os.path.join(out, "landmarks.jpg"), rows_of(tiles + [legend], 4), [cv2.IMWRITE_JPEG_QUALITY, 75])


def crop(detector, template, photo, folder):
    """The thumbnail of the largest face in a gallery whose (fake) recogniser has this template"""
    name = "draw-" + template
    height, width = map(int, template.split("-")[1].split("x"))
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
        json.dump({"name": name, "task": "embed", "framework": "fake", "decoder": "embedding", "licence": "MIT",
                   "input": {"width": width, "height": height, "mean": 127.5, "scale": 0.0078125},
                   "outputs": ["embedding"], "template": template, "dims": 128,
                   "metrics": {"cosine": {"threshold": 0.4, "source": "none"}}}, file)
    env = {**os.environ, "SPHERE_MODEL_PATH": folder + ":" + os.environ.get("SPHERE_MODEL_PATH", "")}
    gallery = os.path.join(folder, f"{detector}-{template}.db")
    spherectl("enrol", "--gallery", gallery, "--keep-thumbnails", "--detector", detector, "--model", name, "--id", "one",
              photo, env=env)
    with sqlite3.connect(gallery) as database:
        jpeg = database.execute("select thumbnail_jpeg from faces").fetchone()[0]
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def templates(photos, folder, out):
    photo = os.path.join(folder, "one.png")
    picture = cv2.imread(os.path.join(photos, "sample6.jpg"))[100:600, 1400:1900]  # one face, then turned
    turn = cv2.getRotationMatrix2D((250, 250), 10, 1)
    cv2.imwrite(photo, cv2.warpAffine(picture, turn, (500, 500), borderMode=cv2.BORDER_REPLICATE))
    lines = []
    for detector in detectors():
        line = [np.full((128, 104, 3), 40, np.uint8)]
        text(line[0], detector, (4, 70), size=0.38)
        for template, points in TEMPLATES.items():
            tile = np.full((128, 132, 3), 40, np.uint8)
            try:
                made = crop(detector, template, photo, folder)
            except RuntimeError:
                text(tile, "no crop: no points" if "box" not in template else "no face", (6, 70), size=0.36)
            else:
                tile[16:16 + made.shape[0], 8:8 + made.shape[1]] = made
                for i, (x, y) in enumerate(points):
                    cv2.drawMarker(tile, (round(x) + 8, round(y) + 16), COLOURS[i], cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
            if not lines:
                text(tile, template, (4, 11), size=0.36)
            line.append(tile)
        lines.append(np.hstack(line))
    cv2.imwrite(os.path.join(out, "templates.jpg"), np.vstack(lines), [cv2.IMWRITE_JPEG_QUALITY, 75])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        side_by_side(options.photos, folder, options.out)
        landmark_order(options.photos, folder, options.out)
        templates(options.photos, folder, options.out)


if __name__ == "__main__":
    main()
