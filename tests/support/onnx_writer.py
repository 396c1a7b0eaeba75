# SPDX-License-Identifier: MIT
"""ONNX files written by hand, for networks of true architecture with made weights.

The wire format is protobuf's (onnx.proto: ModelProto.ir_version = 1, graph = 7, opset_import = 8; GraphProto.node = 1,
name = 2, initializer = 5, input = 11, output = 12; NodeProto.input = 1, output = 2, name = 3, op_type = 4,
attribute = 5; AttributeProto.name = 1, f = 2, i = 3, ints = 8, type = 20; TensorProto.dims = 1, data_type = 2,
raw_data = 9, name = 8).
"""
import struct

import numpy


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


class Network:
    """Nodes in order; each method returns the name of its output. Weights are He-scaled from `seed`."""

    def __init__(self, shape, seed=1, name="input"):
        self.nodes, self.weights, self.input = [], [], name
        self.rng = numpy.random.default_rng(seed)
        self.shapes = {name: tuple(shape)}  # without the batch
        self.shape = tuple(shape)
        self.at = name

    def tensor(self, values):
        values = numpy.ascontiguousarray(values)
        kind = 7 if values.dtype == numpy.int64 else 1
        values = values if kind == 7 else values.astype(numpy.float32)
        name = f"w{len(self.weights)}"
        self.weights.append(b"".join(number(1, d) for d in values.shape) + number(2, kind) + text(8, name)
                            + text(9, values.tobytes()))
        return name

    def node(self, kind, inputs, shape, output=None, **attributes):
        output = output or f"n{len(self.nodes)}"
        body = b"".join(text(1, i) for i in inputs) + text(2, output) + text(3, output) + text(4, kind)
        for key, value in attributes.items():
            if isinstance(value, float):
                body += text(5, text(1, key) + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1))
            elif isinstance(value, int):
                body += text(5, text(1, key) + number(3, value) + number(20, 2))
            else:
                body += text(5, text(1, key) + b"".join(number(8, v) for v in value) + number(20, 7))
        self.nodes.append(body)
        self.shapes[output], self.at = tuple(shape), output
        return output

    def conv(self, x, channels, kernel, stride=1, pad=None, groups=1, bias=True):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        ph, pw = (kh // 2, kw // 2) if pad is None else (pad, pad) if isinstance(pad, int) else pad
        c, h, w = self.shapes[x]
        fan = c // groups * kh * kw
        weights = self.rng.normal(0, numpy.sqrt(2 / fan), (channels, c // groups, kh, kw))
        inputs = [x, self.tensor(weights)] + ([self.tensor(self.rng.normal(0, 0.05, channels))] if bias else [])
        return self.node("Conv", inputs, (channels, (h + 2 * ph - kh) // stride + 1, (w + 2 * pw - kw) // stride + 1),
                         kernel_shape=[kh, kw], strides=[stride, stride], pads=[ph, pw, ph, pw], group=groups)

    def norm(self, x):
        c = self.shapes[x][0]
        draw = self.rng.uniform
        inputs = [x] + [self.tensor(v) for v in (draw(0.8, 1.2, c), draw(-0.1, 0.1, c), draw(-0.1, 0.1, c),
                                                 draw(0.8, 1.2, c))]
        return self.node("BatchNormalization", inputs, self.shapes[x], epsilon=1e-5)

    def relu(self, x):
        return self.node("Relu", [x], self.shapes[x])

    def prelu(self, x):
        return self.node("PRelu", [x, self.tensor(self.rng.uniform(0.1, 0.3, (self.shapes[x][0], 1, 1)))], self.shapes[x])

    def add(self, x, y):
        return self.node("Add", [x, y], self.shapes[x])

    def scale(self, x, factor):
        return self.node("Mul", [x, self.tensor(numpy.full((1,), factor))], self.shapes[x])

    def concat(self, *xs):
        return self.node("Concat", xs, (sum(self.shapes[x][0] for x in xs), *self.shapes[xs[0]][1:]), axis=1)

    def pool(self, x, kernel, stride, pad=0, kind="MaxPool"):
        c, h, w = self.shapes[x]
        side = [(n + 2 * pad - kernel) // stride + 1 for n in (h, w)]
        return self.node(kind, [x], (c, *side), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def mean(self, x):
        return self.node("GlobalAveragePool", [x], (self.shapes[x][0], 1, 1))

    def dense(self, x, size, output=None):
        fan = int(numpy.prod(self.shapes[x]))
        flat = self.node("Flatten", [x], (fan,), axis=1)
        weights = self.rng.normal(0, numpy.sqrt(1 / fan), (size, fan))
        return self.node("Gemm", [flat, self.tensor(weights), self.tensor(self.rng.normal(0, 0.1, size))], (size,),
                         output, alpha=1.0, beta=1.0, transB=1)

    def write(self, path, output=None):
        output = output or self.at

        def value(name, shape):
            dims = b"".join(text(1, number(1, d)) for d in (1, *shape))
            return text(1, name) + text(2, text(1, number(1, 1) + text(2, dims)))

        graph = b"".join(text(1, n) for n in self.nodes) + text(2, "made") + b"".join(text(5, w) for w in self.weights)
        graph += text(11, value(self.input, self.shape)) + text(12, value(output, self.shapes[output]))
        with open(path, "wb") as out:
            out.write(number(1, 7) + text(7, graph) + text(8, text(1, "") + number(2, 11)))
