#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Caffe networks with made weights: the true architecture for tests, without anybody's files.

usage: caffemodel_writer.py --prototxt P --out F [--seed N]   weights for a prototxt
       caffemodel_writer.py --make-prototxt F                 SphereFace-20's architecture as a prototxt

The protobuf wire format is written by hand (caffe.proto: NetParameter.layer = 100; LayerParameter.name = 1,
type = 2, blobs = 7; BlobProto.shape = 7, data = 5; BlobShape.dim = 1; in half precision, as NVIDIA's Caffe and OpenCV have it,
BlobProto.raw_data_type = 10 with FLOAT16 = 2 and raw_data = 12). Weights are He-scaled so that
activations neither vanish nor grow through twenty layers.
"""
import argparse
import re
import struct

import numpy

# SphereFace-20 (arXiv 1704.08063, table 2): stages of (channels, residual units); each stage begins
# with a stride-2 convolution.
STAGES = [(64, 1), (128, 2), (256, 4), (512, 1)]
TOKEN = re.compile(r'\s*(?:#[^\n]*\n|([\w.]+)\s*(?=[:{])|("(?:[^"\\]|\\.)*")|([{}:])|([^\s{}:#]+))')


def parse(text):
    """Protobuf text format to a list of (key, value); a message is such a list again."""
    tokens = [next(g for g in m.groups() if g is not None) for m in TOKEN.finditer(text)
              if any(g is not None for g in m.groups())]
    position = 0

    def message():
        nonlocal position
        fields = []
        while position < len(tokens) and tokens[position] != "}":
            key = tokens[position]
            position += 1
            if tokens[position] == ":":
                position += 1
            if tokens[position] == "{":
                position += 1
                fields.append((key, message()))
                position += 1
            else:
                fields.append((key, tokens[position].strip('"')))
                position += 1
        return fields

    return message()


def get(fields, key, default=None):
    return next((value for name, value in fields if name == key), default)


def number(fields, key, default=0):
    return int(get(fields, key, default))


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(tag, payload):
    return varint(tag << 3 | 2) + varint(len(payload)) + payload


def blob(array, half=False):
    shape = field(7, field(1, b"".join(varint(d) for d in array.shape)))
    if half:
        return field(7, shape + varint(10 << 3) + varint(2) + field(12, array.astype("<f2").tobytes()))
    return field(7, shape + field(5, array.astype("<f4").tobytes()))


def layer(name, kind, arrays, half=False):
    return field(100, field(1, name.encode()) + field(2, kind.encode()) +
                 b"".join(blob(a, half) for a in arrays))


def fields(message):
    """(field, value) of a protobuf message without fixed-size fields: an integer, or bytes."""
    at = 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            shift += 7
            at += 1
            if message[at - 1] < 128:
                return value

    while at < len(message):
        key = read_varint()
        value = read_varint()
        if key & 7 == 2:
            at += value
            yield key >> 3, message[at - value:at]
        elif key & 7 == 0:
            yield key >> 3, value
        else:
            raise ValueError(f"wire type {key & 7} is not known here")


def read_layers(path):
    """[(name, type, [float32 arrays])] of a caffemodel in either precision, as this writer makes them."""
    with open(path, "rb") as file:
        content = memoryview(file.read())
    layers = []
    for number, value in fields(content):
        if number != 100:
            continue
        parts = list(fields(value))
        arrays = []
        for part in (v for f, v in parts if f == 7):
            inner = dict(fields(part))
            dims, at = [], 0
            for byte in dict(fields(inner[7]))[1]:  # packed varints
                if at == 0:
                    dims.append(0)
                dims[-1] |= (byte & 127) << at
                at = at + 7 if byte > 127 else 0
            kind = ("<f2", inner[12]) if inner.get(10) == 2 else ("<f4", inner[5])
            arrays.append(numpy.frombuffer(kind[1], kind[0]).astype("<f4").reshape(dims))
        layers.append((bytes(dict(parts)[1]).decode(), bytes(dict(parts)[2]).decode(), arrays))
    return layers


def write_model(fields, out, seed):
    """Follows shapes through the layers and gives those with weights some. Returns their number."""
    random = numpy.random.default_rng(seed)
    dims = [int(v) for k, v in fields if k == "input_dim"]
    shapes = {get(fields, "input"): tuple(dims[1:])}
    written = 0
    with open(out, "wb") as file:
        for key, value in fields:
            if key != "layer":
                continue
            name, kind = get(value, "name"), get(value, "type")
            c, h, w = shapes[get(value, "bottom")]
            arrays = []
            if kind == "Convolution":
                p = get(value, "convolution_param")
                n, k, s, pad = (number(p, "num_output"), number(p, "kernel_size"), number(p, "stride", 1),
                                number(p, "pad"))
                arrays = [random.normal(0, numpy.sqrt(1.6 / (c * k * k)), (n, c, k, k)),
                          random.normal(0, 0.05, n)]
                c, h, w = n, (h + 2 * pad - k) // s + 1, (w + 2 * pad - k) // s + 1
            elif kind == "Pooling":
                p = get(value, "pooling_param")
                k, s = number(p, "kernel_size"), number(p, "stride", 1)
                h, w = -(-(h - k) // s) + 1, -(-(w - k) // s) + 1  # Caffe rounds up
            elif kind == "PReLU":
                arrays = [random.uniform(0.1, 0.4, c)]
            elif kind == "InnerProduct":
                n = number(get(value, "inner_product_param"), "num_output")
                arrays = [random.normal(0, 1 / numpy.sqrt(c * h * w), (n, c * h * w)),
                          random.normal(0, 0.05, n)]
                c, h, w = n, 1, 1
            elif kind not in ("Eltwise", "ReLU"):
                raise SystemExit(f"layer type {kind} is not known here")
            shapes[get(value, "top")] = (c, h, w)
            if arrays:
                file.write(layer(name, kind, arrays))
                written += 1
    return written


def sphereface20_prototxt():
    lines = ['name: "SpherefaceNet-20"', 'input: "data"', "input_dim: 1", "input_dim: 3", "input_dim: 112",
             "input_dim: 96"]
    bottom = "data"

    def conv(name, channels, stride):
        nonlocal bottom
        lines.append(f'layer {{ name: "conv{name}" type: "Convolution" bottom: "{bottom}" top: "conv{name}" '
                     f"convolution_param {{ num_output: {channels} kernel_size: 3 stride: {stride} pad: 1 }} }}")
        lines.append(f'layer {{ name: "relu{name}" type: "PReLU" bottom: "conv{name}" top: "conv{name}" }}')
        bottom = f"conv{name}"

    for stage, (channels, units) in enumerate(STAGES, 1):
        conv(f"{stage}_1", channels, 2)
        for unit in range(units):
            first = bottom
            conv(f"{stage}_{2 * unit + 2}", channels, 1)
            conv(f"{stage}_{2 * unit + 3}", channels, 1)
            top = f"res{stage}_{2 * unit + 3}"
            lines.append(f'layer {{ name: "{top}" type: "Eltwise" bottom: "{first}" bottom: "{bottom}" '
                         f'top: "{top}" eltwise_param {{ operation: SUM }} }}')
            bottom = top
    lines.append(f'layer {{ name: "fc5" type: "InnerProduct" bottom: "{bottom}" top: "fc5" '
                 "inner_product_param { num_output: 512 } }")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prototxt")
    parser.add_argument("--out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--make-prototxt")
    options = parser.parse_args()
    if options.make_prototxt:
        with open(options.make_prototxt, "w", encoding="utf-8") as file:
            file.write(sphereface20_prototxt())
    elif options.prototxt and options.out:
        with open(options.prototxt, encoding="utf-8") as file:
            count = write_model(parse(file.read()), options.out, options.seed)
        print(f"{count} layers with weights in {options.out}")
    else:
        parser.error("--prototxt and --out, or --make-prototxt")


if __name__ == "__main__":
    main()
