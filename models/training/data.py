# SPDX-License-Identifier: MIT
"""The training crops: decoded once into a file of uint8, with labels a data set and a part held out.

The folder holds crops-N.bin (WebP files one after another) and index.tsv: shard, offset, bytes, dataset, identity (-1 =
not known), coverage (share of the crop inside its source picture; the rest is black). Crops are 112x112, five points on the
ArcFace template; the 112x96 crop of SphereFace is columns 8 to 103 of them.
"""
import concurrent.futures
import csv
import hashlib
import os

import cv2
import numpy

SIDE, LEFT = 112, 8
HELD_OUT = 20        # one identity of this many, and one crop without a label of five times as many, is held out
MOST_PAIRS = 3000    # of the same person in the held-out part; as many of different ones


def read_index(folder, limit=0):
    """Rows of index.tsv as a dict of columns; the first `limit` of them (their order is random), or all."""
    with open(os.path.join(folder, "index.tsv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows = rows[:limit] if limit else rows
    datasets = sorted({row["dataset"] for row in rows})
    number = {name: i for i, name in enumerate(datasets)}
    return {"datasets": datasets,
            "dataset": numpy.array([number[row["dataset"]] for row in rows], numpy.int32),
            **{key: numpy.array([int(row[key]) for row in rows], numpy.int64)
               for key in ("shard", "offset", "bytes", "identity")},
            "coverage": numpy.array([float(row["coverage"]) for row in rows], numpy.float32)}


def fill_margins(crop):
    """Black that touches the border takes the colour of the nearest pixel of the picture."""
    dark = (crop.max(axis=2) <= 5).astype(numpy.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=4)
    margin = numpy.zeros_like(dark)
    for label in range(1, count):
        x, y, w, h, area = stats[label]
        if area >= 24 and (x == 0 or y == 0 or x + w == SIDE or y + h == SIDE):
            margin[labels == label] = 1
    if not margin.any() or margin.all():
        return crop
    margin = cv2.dilate(margin, numpy.ones((3, 3), numpy.uint8))  # lossy edges
    if margin.all():
        return crop
    _, nearest = cv2.distanceTransformWithLabels(margin, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    inside = margin == 0
    colour = numpy.zeros((nearest.max() + 1, 3), numpy.uint8)
    colour[nearest[inside]] = crop[inside]
    filled = crop.copy()
    filled[~inside] = colour[nearest[~inside]]
    return filled


def decode(blob, coverage, number):
    crop = cv2.imdecode(numpy.frombuffer(blob, numpy.uint8), cv2.IMREAD_COLOR)
    if crop is None or crop.shape != (SIDE, SIDE, 3):
        raise ValueError(f"crop {number} is no picture of {SIDE}x{SIDE}: are all shards there and whole?")
    # Black margins are commoner here than in real crops: every other one is filled.
    return fill_margins(crop) if coverage < 0.999 and number % 2 == 0 else crop


def fingerprint(folder, limit):
    """Of what a cache was made from: the index as it stands, and the sizes of the shards."""
    digest = hashlib.sha256(f"4 {limit}".encode())
    with open(os.path.join(folder, "index.tsv"), "rb") as file:
        digest.update(file.read())
    for name in sorted(n for n in os.listdir(folder) if n.startswith("crops-")):
        digest.update(f"{name} {os.path.getsize(os.path.join(folder, name))}".encode())
    return digest.hexdigest()[:16]


def load_crops(folder, work, index, limit=0):
    """uint8 [n, 112, 112, 3], BGR, mapped from a file in `work` that is made at the first call."""
    path = os.path.join(work, f"crops-{fingerprint(folder, limit)}.npy")
    if not os.path.exists(path):
        count = len(index["shard"])
        crops = numpy.lib.format.open_memmap(path + ".part", "w+", numpy.uint8, (count, SIDE, SIDE, 3))
        shards = {}
        for shard in numpy.unique(index["shard"]):
            name = os.path.join(folder, f"crops-{shard}.bin")
            if not os.path.exists(name):
                raise FileNotFoundError(f"{name} is missing; join packed parts first (pack.py)")
            shards[int(shard)] = numpy.memmap(name, numpy.uint8, "r")

        def one(i):
            start = index["offset"][i]
            crops[i] = decode(shards[int(index["shard"][i])][start:start + index["bytes"][i]].tobytes(),
                              index["coverage"][i], i)

        cv2.setNumThreads(1)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(one, range(count), chunksize=64):
                pass
        crops.flush()
        del crops
        os.replace(path + ".part", path)  # what has the name is whole
    return numpy.load(path, mmap_mode="r")


def stable_hash(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


class Split:
    """Which crops are trained on, their classes, and pairs of people held out.

    A class is an identity of one data set, for labels are noisy and the same person may be in two sets: the softmax of a crop goes
    over the classes of its own set alone (`head`, with `first_class[head]` and so on). Held-out people are out of training
    altogether, where the labels tell.
    """

    def __init__(self, index):
        self.index = index
        count = len(index["identity"])
        keys = [f"{index['datasets'][d]}/{i}" if i >= 0 else "" for d, i in zip(index["dataset"], index["identity"])]
        held_ids = {int(i) for i in numpy.unique(index["identity"]) if i >= 0 and stable_hash(f"id {i}") % HELD_OUT == 0}
        held = numpy.array([int(i) in held_ids if i >= 0 else stable_hash(f"crop {n}") % (5 * HELD_OUT) == 0
                            for n, i in enumerate(index["identity"])])
        self.train = numpy.flatnonzero(~held)
        self.held = numpy.flatnonzero(held)
        by_set = {}
        for n in self.train:
            if keys[n]:
                by_set.setdefault(int(index["dataset"][n]), {}).setdefault(keys[n], []).append(int(n))
        self.label = numpy.full(count, -1, numpy.int64)
        self.head = numpy.full(count, -1, numpy.int64)
        self.class_head = []
        for head, (_, classes) in enumerate(sorted((k, v) for k, v in by_set.items() if len(v) > 1)):
            for key in sorted(classes):
                self.label[classes[key]] = len(self.class_head)
                self.head[classes[key]] = head
                self.class_head.append(head)
        self.class_head = numpy.array(self.class_head, numpy.int64)
        self.pairs, self.same = self._pairs(held)

    @property
    def classes(self):
        return len(self.class_head)

    def _pairs(self, held):
        """Of held-out people: up to MOST_PAIRS of one, and as many of two people of the same data set."""
        random = numpy.random.default_rng(7)
        people = {}
        for n in numpy.flatnonzero(held & (self.index["identity"] >= 0)):
            people.setdefault(int(self.index["dataset"][n]), {}).setdefault(int(self.index["identity"][n]), []).append(int(n))
        same = [(a, b) for persons in people.values() for crops in persons.values()
                for i, a in enumerate(crops) for b in crops[i + 1:i + 6]]
        random.shuffle(same)
        same = same[:MOST_PAIRS]
        different = []
        pools = [p for p in people.values() if len(p) > 1]
        sizes = numpy.array([sum(map(len, p.values())) for p in pools], float)
        while pools and len(different) < len(same):
            pool = pools[random.choice(len(pools), p=sizes / sizes.sum())]
            a, b = random.choice(sorted(pool), 2, replace=False)
            different.append((int(random.choice(pool[a])), int(random.choice(pool[b]))))
        pairs = numpy.array(same + different, numpy.int64).reshape(-1, 2)
        return pairs, numpy.arange(len(pairs)) < len(same)

    def drop_doubtful(self, teacher, least=0.25):
        """Unlabels crops that the teacher finds unlike the rest of their class: noise of the labels. Returns their number."""
        dropped = 0
        order = numpy.argsort(self.label, kind="stable")
        order = order[self.label[order] >= 0]
        edges = numpy.flatnonzero(numpy.diff(self.label[order], prepend=-1, append=-1))
        for begin, end in zip(edges[:-1], edges[1:]):
            members = order[begin:end]
            if len(members) < 3:
                continue
            rows = teacher[members, 0].astype(numpy.float32)
            rest = rows.sum(0) - rows
            cosine = (rows * rest).sum(1) / numpy.maximum(numpy.linalg.norm(rest, axis=1), 1e-6)
            doubtful = members[cosine < least]
            self.label[doubtful] = -1
            dropped += len(doubtful)
        return dropped


def order_of(train, seed, epoch):
    """The crops of an epoch in their order: depends on nothing but its arguments, so a resumed run goes on the same road."""
    return numpy.random.default_rng((seed, epoch)).permutation(train)


def batch_at(train, seed, step, size):
    """The crops of one step; epochs follow each other without a gap, so every batch is full."""
    size = min(size, len(train))
    begin = step * size
    epoch, offset = divmod(begin, len(train))
    rows = order_of(train, seed, epoch)[offset:offset + size]
    if len(rows) < size:
        rows = numpy.concatenate([rows, order_of(train, seed, epoch + 1)[:size - len(rows)]])
    return rows
