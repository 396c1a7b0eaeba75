# SPDX-License-Identifier: MIT
"""The architectures of published recognisers with made weights, at their true shapes.

Written from the papers and the publishers' definitions: FaceNet's Inception-ResNet v1 (Szegedy et al. 2016, as
davidsandberg/facenet has it), DeepID (Sun et al., CVPR 2014), ArcFace's improved ResNet (Deng et al., CVPR 2019),
MobileFaceNet (Chen et al. 2018; SFace's network), VGG-Face (Parkhi et al., BMVC 2015), OpenFace's nn4.small2.
"""
import struct

import numpy

from onnx_writer import Network


def facenet(path, dims, seed=1):
    """Inception-ResNet v1, 160x160"""
    net = Network((3, 160, 160), seed)

    def conv(x, channels, kernel, stride=1, pad=None):
        return net.relu(net.norm(net.conv(x, channels, kernel, stride, pad, bias=False)))

    def residual(x, branches, scale, activate=True):
        up = net.conv(net.concat(*branches) if len(branches) > 1 else branches[0], net.shapes[x][0], 1)
        y = net.add(x, net.scale(up, scale))
        return net.relu(y) if activate else y

    def block35(x):
        return residual(x, [conv(x, 32, 1), conv(conv(x, 32, 1), 32, 3), conv(conv(conv(x, 32, 1), 32, 3), 32, 3)], 0.17)

    def block17(x):
        return residual(x, [conv(x, 128, 1), conv(conv(conv(x, 128, 1), 128, (1, 7)), 128, (7, 1))], 0.10)

    def block8(x, scale=0.2, activate=True):
        return residual(x, [conv(x, 192, 1), conv(conv(conv(x, 192, 1), 192, (1, 3)), 192, (3, 1))], scale, activate)

    x = conv(conv(conv("input", 32, 3, 2, 0), 32, 3, 1, 0), 64, 3)
    x = conv(conv(net.pool(x, 3, 2), 80, 1), 192, 3, 1, 0)
    x = conv(x, 256, 3, 2, 0)
    for _ in range(5):
        x = block35(x)
    x = net.concat(conv(x, 384, 3, 2, 0), conv(conv(conv(x, 192, 1), 192, 3), 256, 3, 2, 0), net.pool(x, 3, 2))
    for _ in range(10):
        x = block17(x)
    x = net.concat(conv(conv(x, 256, 1), 384, 3, 2, 0), conv(conv(x, 256, 1), 256, 3, 2, 0),
                   conv(conv(conv(x, 256, 1), 256, 3), 256, 3, 2, 0), net.pool(x, 3, 2))
    for _ in range(5):
        x = block8(x)
    x = net.mean(block8(x, 1.0, activate=False))
    net.dense(x, dims, "embeddings")
    net.write(path)


def deepid(path, seed=1):
    """55 high, 47 wide; 160 numbers that see the third and the fourth convolution"""
    net = Network((3, 55, 47), seed)
    x = net.pool(net.relu(net.conv("input", 20, 4, pad=0)), 2, 2)
    x = net.pool(net.relu(net.conv(x, 40, 3, pad=0)), 2, 2)
    third = net.pool(net.relu(net.conv(x, 60, 3, pad=0)), 2, 2)
    fourth = net.relu(net.conv(third, 80, 2, pad=0))
    both = net.add(net.dense(third, 160), net.dense(fourth, 160))
    net.node("Relu", [both], (160,), "deepid")
    net.write(path)


def arcface(path, blocks, output, seed=1):
    """Improved ResNet: (3, 4, 14, 3) is r50, (3, 13, 30, 3) is r100; 112x112, 512 numbers"""
    net = Network((3, 112, 112), seed, "input.1")
    x = net.prelu(net.norm(net.conv("input.1", 64, 3, bias=False)))
    for channels, count in zip((64, 128, 256, 512), blocks):
        for block in range(count):
            stride = 2 if block == 0 else 1
            y = net.prelu(net.norm(net.conv(net.norm(x), channels, 3, bias=False)))
            y = net.scale(net.norm(net.conv(y, channels, 3, stride, bias=False)), 0.5)
            shortcut = x if block else net.norm(net.conv(x, channels, 1, 2, 0, bias=False))
            x = net.add(y, shortcut)
    net.dense(net.norm(x), 512, output)
    net.write(path)


def mobilefacenet(path, dims, output, seed=1, name="data"):
    """Bottlenecks of (expansion, channels, repeats, stride), table 1 of the paper"""
    net = Network((3, 112, 112), seed, name)

    def conv(x, channels, kernel, stride=1, pad=None, groups=1, activate=True):
        y = net.norm(net.conv(x, channels, kernel, stride, pad, groups, bias=False))
        return net.prelu(y) if activate else y

    x = conv(conv(name, 64, 3, 2), 64, 3, groups=64)
    for expansion, channels, repeats, stride in ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2),
                                                 (2, 128, 2, 1)):
        for i in range(repeats):
            c = net.shapes[x][0]
            s = stride if i == 0 else 1
            y = conv(x, c * expansion, 1)
            y = conv(conv(y, c * expansion, 3, s, groups=c * expansion), channels, 1, activate=False)
            x = net.scale(net.add(x, y), 0.7) if s == 1 and c == channels else y
    x = conv(conv(x, 512, 1), 512, 7, pad=0, groups=512, activate=False)
    net.dense(x, dims, output)
    net.write(path)


def deepface(path, seed=1):
    """Taigman et al., CVPR 2014: C1, M2, C3, locally connected L4 to L6, F7. A locally connected layer has weights of
    its own at each place: the patches are gathered by a convolution with one-hot kernels, and each place is a
    group of a 1x1 convolution."""
    net = Network((3, 152, 152), seed)

    def local(x, channels, kernel, stride=1):
        c, h, w = net.shapes[x]
        patch = c * kernel * kernel
        one_hot = numpy.eye(patch, dtype=numpy.float32).reshape(patch, c, kernel, kernel)
        rows, columns = (h - kernel) // stride + 1, (w - kernel) // stride + 1
        gathered = net.node("Conv", [x, net.tensor(one_hot)], (patch, rows, columns), kernel_shape=[kernel, kernel],
                            strides=[stride, stride], pads=[0] * 4, group=1)
        turned = net.node("Transpose", [gathered], (rows, columns, patch), perm=[0, 2, 3, 1])
        places = rows * columns
        flat = net.node("Reshape", [turned, net.tensor(numpy.array([1, places * patch, 1, 1]))], (places * patch, 1, 1))
        each = net.relu(net.conv(flat, places * channels, 1, groups=places))
        grid = net.node("Reshape", [each, net.tensor(numpy.array([1, rows, columns, channels]))], (rows, columns, channels))
        return net.node("Transpose", [grid], (channels, rows, columns), perm=[0, 3, 1, 2])

    x = net.pool(net.relu(net.conv("input", 32, 11, pad=0)), 3, 2, 1)
    x = net.relu(net.conv(x, 16, 9, pad=0))
    x = local(local(local(x, 16, 9), 16, 7, 2), 16, 5)
    net.node("Relu", [net.dense(x, 4096)], (4096,), "f7")
    net.write(path)


def vgg_face_prototxt():
    """VGG-16 as VGG_FACE_deploy.prototxt names its layers, without dropout"""
    lines = ['name: "VGG_FACE_16_layers"', 'input: "data"', "input_dim: 1", "input_dim: 3", "input_dim: 224",
             "input_dim: 224"]
    bottom = "data"
    for stage, (channels, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for i in range(1, count + 1):
            name = f"conv{stage}_{i}"
            lines.append(f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
                         f"convolution_param {{ num_output: {channels} kernel_size: 3 pad: 1 }} }}")
            lines.append(f'layer {{ name: "relu{stage}_{i}" type: "ReLU" bottom: "{name}" top: "{name}" }}')
            bottom = name
        lines.append(f'layer {{ name: "pool{stage}" type: "Pooling" bottom: "{bottom}" top: "pool{stage}" '
                     "pooling_param { pool: MAX kernel_size: 2 stride: 2 } }")
        bottom = f"pool{stage}"
    for name, size in (("fc6", 4096), ("fc7", 4096), ("fc8", 2622)):
        lines.append(f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
                     f"inner_product_param {{ num_output: {size} }} }}")
        if name != "fc8":
            lines.append(f'layer {{ name: "relu{name[2]}" type: "ReLU" bottom: "{name}" top: "{name}" }}')
        bottom = name
    return "\n".join(lines) + "\n"


def openface(path, seed=1):
    """nn4.small2 as an export to ONNX has it: DepthConcat as zeros about the smaller branch"""
    net = Network((3, 96, 96), seed)

    def unit(x, channels, kernel, stride=1):
        return net.relu(net.norm(net.conv(x, channels, kernel, stride)))

    def lrn(x):
        return net.node("LRN", [x], net.shapes[x], size=5, alpha=0.0001, beta=0.75, bias=1.0)

    def most(x):
        return net.pool(x, 3, 2)

    def root(x):  # dpnn's L2 pooling: root of the sum of the squares
        squares = net.pool(net.node("Mul", [x, x], net.shapes[x]), 3, 3, kind="AveragePool")
        return net.node("Sqrt", [net.scale(squares, 9.0)], net.shapes[squares])

    def padded(x, side):
        c, h, w = net.shapes[x]
        if (h, w) == (side, side):
            return x
        low, high = (side - h) // 2, side - h - (side - h) // 2
        pads = net.tensor(numpy.array([0, 0, low, low, 0, 0, high, high], numpy.int64))
        return net.node("Pad", [x, pads], (c, side, side))

    def inception(x, kernels, strides, outputs, reduce, pool):
        branches = [unit(unit(x, low, 1), size, kernel, stride)
                    for kernel, stride, size, low in zip(kernels, strides, outputs, reduce)]
        after, alone = reduce[len(kernels):]
        branches.append(unit(pool(x), after, 1) if after else pool(x))
        if alone:
            branches.append(unit(x, alone, 1))
        side = max(net.shapes[b][1] for b in branches)
        return net.concat(*(padded(b, side) for b in branches))

    x = lrn(net.pool(unit("input", 64, 7, 2), 3, 2, 1))
    x = net.pool(lrn(unit(unit(x, 64, 1), 192, 3)), 3, 2, 1)
    x = inception(x, (3, 5), (1, 1), (128, 32), (96, 16, 32, 64), most)
    x = inception(x, (3, 5), (1, 1), (128, 64), (96, 32, 64, 64), root)
    x = inception(x, (3, 5), (2, 2), (256, 64), (128, 32, None, None), most)
    x = inception(x, (3, 5), (1, 1), (192, 64), (96, 32, 128, 256), root)
    x = inception(x, (3, 5), (2, 2), (256, 128), (160, 64, None, None), most)
    x = inception(x, (3,), (1,), (384,), (96, 96, 256), root)
    x = inception(x, (3,), (1,), (384,), (96, 96, 256), most)
    x = net.dense(net.pool(x, 3, 1, kind="AveragePool"), 128)
    length = net.node("ReduceL2", [x], (1,), axes=[1], keepdims=1)
    net.node("Div", [x, length], (128,), "output")
    net.write(path)


class Torch:
    """Torch7's binary serialisation (torch/File.lua): type, then for objects a running number, version and class."""

    def __init__(self, seed):
        self.rng, self.parts, self.objects = numpy.random.default_rng(seed), [], 0

    def raw(self, form, *values):
        self.parts.append(struct.pack("<" + form, *values))

    def number(self, value):
        self.raw("id", 1, value)

    def text(self, value):
        data = value.encode()
        self.raw(f"ii{len(data)}s", 2, len(data), data)

    def boolean(self, value):
        self.raw("ii", 5, int(value))

    def begin(self, kind):
        """kind: a class name, or None for a table"""
        self.objects += 1
        self.raw("ii", 4 if kind else 3, self.objects)
        if kind:
            for word in (b"V 1", kind.encode()):
                self.raw(f"i{len(word)}s", len(word), word)

    def tensor(self, values):
        values = numpy.ascontiguousarray(values, "<f4")
        self.begin("torch.FloatTensor")
        strides = [int(numpy.prod(values.shape[i + 1:])) for i in range(values.ndim)]
        self.raw(f"i{values.ndim}q{values.ndim}qq", values.ndim, *values.shape, *strides, 1)
        self.begin("torch.FloatStorage")
        self.raw("q", values.size)
        self.parts.append(values.tobytes())

    def sizes(self, *values):
        def write():
            self.begin("torch.LongStorage")
            self.raw(f"q{len(values)}q", len(values), *values)
        return write

    def table(self, fields, kind=None):
        """fields: (key, value) pairs; a value is a number, a text, an array or a function that writes"""
        if kind:
            self.begin(kind)
        self.begin(None)
        self.raw("i", len(fields))
        for key, value in fields:
            (self.text if isinstance(key, str) else self.number)(key)
            if callable(value):
                value()
            elif isinstance(value, bool):
                self.boolean(value)
            elif isinstance(value, str):
                self.text(value)
            elif isinstance(value, numpy.ndarray):
                self.tensor(value)
            else:
                self.number(value)

    def container(self, kind, modules, **fields):
        def write():
            self.table([("modules", lambda: self.table(list(enumerate(modules, 1)))), *fields.items()], kind)
        return write

    def module(self, kind, **fields):
        return lambda: self.table(list(fields.items()), kind)

    def conv(self, inputs, outputs, kernel, stride=1, pad=0):
        weights = self.rng.normal(0, numpy.sqrt(2 / (inputs * kernel * kernel)), (outputs, inputs * kernel * kernel))
        return self.module("nn.SpatialConvolutionMM", nInputPlane=inputs, nOutputPlane=outputs, kW=kernel, kH=kernel,
                           dW=stride, dH=stride, padW=pad, padH=pad, weight=weights,
                           bias=self.rng.normal(0, 0.05, outputs))

    def norm(self, channels):
        draw = self.rng.uniform
        return self.module("nn.SpatialBatchNormalization", eps=1e-5, affine=True, weight=draw(0.8, 1.2, channels),
                           bias=draw(-0.1, 0.1, channels), running_mean=draw(-0.1, 0.1, channels),
                           running_var=draw(0.8, 1.2, channels))

    def pool(self, kernel, stride, pad=0, kind="nn.SpatialMaxPooling"):
        return self.module(kind, kW=kernel, kH=kernel, dW=stride, dH=stride, padW=pad, padH=pad, ceil_mode=False,
                           count_include_pad=True, divide=True)


def openface_torch(path, seed=1):
    """nn4.small2: 96x96, 128 numbers of length 1"""
    t = Torch(seed)

    def unit(inputs, outputs, kernel, stride=1, pad=0):
        return [t.conv(inputs, outputs, kernel, stride, pad), t.norm(outputs), t.module("nn.ReLU", threshold=0.0, val=0.0)]

    def lp_pool(kernel, stride):  # dpnn's L2 pooling: square, mean, times the window, root
        return [t.module("nn.Power", pow=2.0), t.pool(kernel, stride, kind="nn.SpatialAveragePooling"),
                t.module("nn.MulConstant", constant_scalar=float(kernel * kernel)), t.module("nn.Power", pow=0.5)]

    def inception(inputs, kernels, strides, outputs, reduce, pool):
        branches = []
        for kernel, stride, size, low in zip(kernels, strides, outputs, reduce):
            branches.append(unit(inputs, low, 1) + unit(low, size, kernel, stride, kernel // 2))
        rest = reduce[len(kernels):]
        branches.append(list(pool) + (unit(inputs, rest[0], 1) if rest[0] else []))
        if rest[1]:
            branches.append(unit(inputs, rest[1], 1))
        return t.container("nn.DepthConcat", [t.container("nn.Sequential", b) for b in branches], dimension=2)

    def most(stride=2):
        return [t.pool(3, stride)]

    lrn = dict(size=5, alpha=0.0001, beta=0.75, k=1.0)
    layers = unit(3, 64, 7, 2, 3) + [t.pool(3, 2, 1), t.module("nn.SpatialCrossMapLRN", **lrn)]
    layers += unit(64, 64, 1) + unit(64, 192, 3, 1, 1) + [t.module("nn.SpatialCrossMapLRN", **lrn), t.pool(3, 2, 1)]
    layers += [inception(192, (3, 5), (1, 1), (128, 32), (96, 16, 32, 64), most()),
               inception(256, (3, 5), (1, 1), (128, 64), (96, 32, 64, 64), lp_pool(3, 3)),
               inception(320, (3, 5), (2, 2), (256, 64), (128, 32, None, None), most()),
               inception(640, (3, 5), (1, 1), (192, 64), (96, 32, 128, 256), lp_pool(3, 3)),
               inception(640, (3, 5), (2, 2), (256, 128), (160, 64, None, None), most()),
               inception(1024, (3,), (1,), (384,), (96, 96, 256), lp_pool(3, 3)),
               t.module("nn.Reshape", size=t.sizes(736, 3, 3), nelement=736 * 9),
               inception(736, (3,), (1,), (384,), (96, 96, 256), most()),
               t.pool(3, 1, kind="nn.SpatialAveragePooling")]
    layers += [t.module("nn.Reshape", size=t.sizes(736), nelement=736),
               t.module("nn.View", size=t.sizes(736), numElements=736),
               t.module("nn.Linear", weight=t.rng.normal(0, 0.05, (128, 736)), bias=t.rng.normal(0, 0.05, 128)),
               t.module("nn.Normalize", p=2.0, eps=1e-10)]
    t.container("nn.Sequential", layers)()
    with open(path, "wb") as out:
        out.write(b"".join(t.parts))
