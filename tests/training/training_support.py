# SPDX-License-Identifier: MIT
"""Shared by the tests of models/training: its modules, and small made training sets."""
import os
import sys

import cv2
import numpy

ROOT = os.environ.get("SPHERE_SOURCE_ROOT") or os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "models", "training"))


def made_set(folder, people=6, each=4, strangers=40, seed=3):
    """Crops of made faces (blurred noise; a person's are alike) in the format of the training data. Returns the pictures."""
    random = numpy.random.default_rng(seed)
    rows, pictures = [], []

    def noise():
        return cv2.resize(random.integers(0, 256, (14, 14, 3)).astype(numpy.uint8), (112, 112), interpolation=cv2.INTER_CUBIC)

    for person in range(people):
        face = noise()
        for _ in range(each):
            pictures.append(cv2.addWeighted(face, 0.8, noise(), 0.2, 0))
            rows.append(("made_a" if person % 2 else "made_b", person, 1.0))
    for _ in range(strangers):
        picture = noise()
        picture[:, :20] = 0
        pictures.append(picture)
        rows.append(("made_c", -1, 0.82))
    order = random.permutation(len(rows))
    offset = [0, 0]
    os.makedirs(folder, exist_ok=True)
    shards = [open(os.path.join(folder, f"crops-{i}.bin"), "wb") for i in range(2)]
    with open(os.path.join(folder, "index.tsv"), "w", encoding="utf-8") as index:
        index.write("shard\toffset\tbytes\tdataset\tidentity\tcoverage\n")
        for place, i in enumerate(order):
            blob = cv2.imencode(".webp", pictures[i], [cv2.IMWRITE_WEBP_QUALITY, 90])[1].tobytes()
            shard = place % 2
            shards[shard].write(blob)
            index.write(f"{shard}\t{offset[shard]}\t{len(blob)}\t{rows[i][0]}\t{rows[i][1]}\t{rows[i][2]}\n")
            offset[shard] += len(blob)
    for shard in shards:
        shard.close()
    return [pictures[i] for i in order]
