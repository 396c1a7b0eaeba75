# SPDX-License-Identifier: MIT
"""The teacher, fr_feature.onnx (MIT), in PyTorch, and its embeddings of all crops and their mirror images.

The file is read here, without a package for ONNX: its graph has Conv, PRelu, Add and one Reshape. A test holds the result to
OpenCV's within 1e-4. Input: 112x112, RGB, (pixel - 127.5) / 127.5. Output: 512 numbers, compared by cosine.
"""
import hashlib
import os
import struct

import numpy
import torch
from torch import nn
from torch.nn import functional

MEAN, SCALE = 127.5, 1 / 127.5
SHA256 = "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581"


def fields(blob):
    """(field, value) of a protobuf message: an integer, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = blob[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(blob):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or (varint() if kind == 2 else None)
        if size is None or at + size > len(blob):
            raise ValueError("the file is no protobuf message")
        yield key >> 3, blob[at:at + size]
        at += size


def texts(message, number):
    return [value.decode() for field, value in fields(message) if field == number]


def integers(message, number):
    """A repeated integer, packed or not, signed."""
    values = []
    for field, value in fields(message):
        if field != number:
            continue
        if isinstance(value, int):
            values.append(value)
            continue
        one = shift = 0
        for byte in value:  # packed varints
            one |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                values.append(one)
                one = shift = 0
    return [v - (1 << 64) if v >> 63 else v for v in values]


def tensor(message):
    """(name, array) of a TensorProto: raw_data (9), float_data (4) or int64_data (7)."""
    dims, kind = integers(message, 1), integers(message, 2)[0]
    raw = [value for field, value in fields(message) if field == 9]
    if kind == 1:
        floats = raw[0] if raw else b"".join(v for f, v in fields(message) if f == 4)
        array = numpy.frombuffer(floats, "<f4")
    elif kind == 7:
        array = numpy.frombuffer(raw[0], "<i8") if raw else numpy.array(integers(message, 7), numpy.int64)
    else:
        raise ValueError(f"a tensor of type {kind} is not known here")
    return texts(message, 8)[0], array.reshape(dims).copy()


def attributes(node):
    """AttributeProto: name 1, f 2, i 3, ints 8."""
    found = {}
    for field, value in fields(node):
        if field != 5:
            continue
        ints, single = integers(value, 8), integers(value, 3)
        real = [v for f, v in fields(value) if f == 2]
        found[texts(value, 1)[0]] = ints or (single[0] if single else None)
        if real and not ints and not single:
            found[texts(value, 1)[0]] = struct.unpack("<f", real[0])[0]
    return found


class OnnxNetwork(nn.Module):
    """Runs the nodes of an ONNX file in their order, at any batch: the one Reshape flattens."""

    def __init__(self, path):
        super().__init__()
        with open(path, "rb") as file:
            model = file.read()
        graph = next(value for field, value in fields(model) if field == 7)
        constants = dict(tensor(value) for field, value in fields(graph) if field == 5)
        self.nodes = []
        self.input = next(n for n in (texts(v, 1)[0] for f, v in fields(graph) if f == 11) if n not in constants)
        self.output = next(texts(value, 1)[0] for field, value in fields(graph) if field == 12)
        for field, node in fields(graph):
            if field == 1:
                self._add(texts(node, 4)[0], texts(node, 1), texts(node, 2)[0], attributes(node), constants)

    def _add(self, kind, inputs, output, settings, constants):
        names = []
        for name in inputs:
            if name in constants and kind != "Reshape":
                key = f"w{len(self._buffers)}"
                self.register_buffer(key, torch.from_numpy(constants[name]))
                names.append("@" + key)
            else:
                names.append(name)
        if kind == "Conv":
            pads = settings.get("pads") or [0, 0, 0, 0]
            if pads[:2] != pads[2:] or any(d != 1 for d in settings.get("dilations") or []):
                raise ValueError("a convolution with uneven pads or dilation is not known here")
            settings = {"stride": tuple(settings.get("strides") or (1, 1)), "padding": tuple(pads[:2]),
                        "groups": settings.get("group") or 1}
        elif kind not in ("PRelu", "Add", "Reshape"):
            raise ValueError(f"operator {kind} is not known here")
        self.nodes.append((kind, names, output, settings))

    def forward(self, x):
        values = {self.input: x}
        last = {name: i for i, (_, inputs, _, _) in enumerate(self.nodes) for name in inputs}

        def get(name):
            return getattr(self, name[1:]) if name.startswith("@") else values[name]

        for i, (kind, inputs, output, settings) in enumerate(self.nodes):
            first = get(inputs[0])
            if kind == "Conv":
                values[output] = functional.conv2d(first, *(get(n) for n in inputs[1:]), **settings)
            elif kind == "PRelu":
                values[output] = functional.prelu(first, get(inputs[1]).flatten().to(first.dtype))
            elif kind == "Add":
                values[output] = first + get(inputs[1])
            else:
                values[output] = torch.flatten(first, 1)
            for name in inputs:
                if last[name] == i:
                    values.pop(name, None)  # no other node takes it
        return torch.flatten(values[self.output], 1)


def load(path, device):
    net = OnnxNetwork(path).to(device).eval()
    for buffer in net.buffers():
        buffer.requires_grad_(False)
    return net


def input_of(crops):
    """uint8 [n, 112, 112, 3], BGR, to the teacher's input."""
    return (crops.flip(-1).permute(0, 3, 1, 2).float() - MEAN) * SCALE


def embeddings(path, crops, work, name, device, report=print):
    """float16 [n, 2, 512] of unit vectors, of each crop and of its mirror; kept in `work` as NAME.npy, resumable by blocks."""
    target = os.path.join(work, f"teacher-{name}.npy")
    if os.path.exists(target):
        return numpy.load(target, mmap_mode="r")
    part, mark = target + ".part", target + ".done"
    batch = 512 if torch.device(device).type == "cuda" else 32
    done = 0
    if os.path.exists(part) and os.path.exists(mark):
        with open(mark, encoding="utf-8") as file:
            done = int(file.read() or 0)
        rows = numpy.lib.format.open_memmap(part, "r+")
    else:
        rows = numpy.lib.format.open_memmap(part, "w+", numpy.float16, (len(crops), 2, 512))
    net = load(path, device)
    with torch.no_grad():
        for begin in range(done, len(crops), batch):
            pixels = torch.from_numpy(numpy.array(crops[begin:begin + batch])).to(device)
            x = input_of(pixels)
            both = torch.stack([net(x), net(x.flip(-1))], 1)
            rows[begin:begin + len(pixels)] = functional.normalize(both, dim=2).half().cpu().numpy()
            if (begin // batch) % 8 == 7:
                rows.flush()
                with open(mark, "w", encoding="utf-8") as file:
                    file.write(str(begin + len(pixels)))
                report(f"teacher: {begin + len(pixels)} of {len(crops)} crops")
    rows.flush()
    del rows
    os.replace(part, target)
    if os.path.exists(mark):
        os.remove(mark)
    return numpy.load(target, mmap_mode="r")


def check_is_fr_feature(path):
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{path} is not fr_feature.onnx of the descriptor (sha256 {digest}): "
                         "get it with: spherectl models fetch fr_feature")

