#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""OpenCV's SSD face detector in its Caffe form, with made weights: ResNet-10 of half width, 300x300, two classes, six
prior layers, as samples/dnn/face_detector of OpenCV describes it."""
import numpy

from caffemodel_writer import layer

# (feature map, priors' sides in px, further aspect ratios, px a cell); Liu et al., SSD, ECCV 2016
HEADS = [("conv4_3_norm", 256 // 2, (30, 60), (2,), 8), ("fc7", 256, (60, 111), (2, 3), 16),
         ("conv6_2_h", 256, (111, 162), (2, 3), 32), ("conv7_2_h", 128, (162, 213), (2, 3), 64),
         ("conv8_2_h", 128, (213, 264), (2,), 100), ("conv9_2_h", 128, (264, 315), (2,), 300)]


class Writer:
    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.text = ['input: "data"', "input_shape { dim: 1 dim: 3 dim: 300 dim: 300 }"]
        self.weights = []

    def add(self, name, kind, bottoms, top=None, rest="", arrays=()):
        below = " ".join(f'bottom: "{b}"' for b in bottoms)
        self.text.append(f'layer {{ name: "{name}" type: "{kind}" {below} top: "{top or name}" {rest} }}')
        if arrays:
            self.weights.append(layer(name, kind, arrays))
        return top or name

    def conv(self, name, bottom, sizes, side, stride=1, pad=0, bias=True, dilation=1, gain=2.0):
        before, after = sizes
        arrays = [self.random.normal(0, numpy.sqrt(gain / (before * side * side)), (after, before, side, side))]
        if bias:
            arrays.append(self.random.normal(0, 0.1, after))
        rest = (f"convolution_param {{ num_output: {after} kernel_size: {side} stride: {stride} pad: {pad} "
                f"dilation: {dilation} bias_term: {'true' if bias else 'false'} }}")
        return self.add(name, "Convolution", [bottom], None, rest, arrays)

    def norm(self, name, bottom, channels, in_place=True, relu=True, spread=1.0):
        """BatchNorm, Scale and ReLU"""
        top = bottom if in_place else name
        self.add(name, "BatchNorm", [bottom], top, "", [self.random.normal(0, 0.1, channels),
                                                        self.random.uniform(0.8, 1.2, channels) * spread, numpy.ones(1)])
        self.add(name + "_scale", "Scale", [top], top, "scale_param { bias_term: true }",
                 [self.random.uniform(0.8, 1.2, channels), self.random.normal(0, 0.1, channels)])
        return self.add(name + "_relu", "ReLU", [top], top) if relu else top


def body(net):
    """name -> feature map"""
    x = net.norm("data_bn", "data", 3, in_place=False, relu=False, spread=4000.0)
    x = net.norm("conv1_bn_h", net.conv("conv1_h", x, (3, 32), 7, 2, 3), 32)
    x = net.add("conv1_pool", "Pooling", [x], None, "pooling_param { kernel_size: 3 stride: 2 }")
    y = net.norm("layer_64_1_bn2_h", net.conv("layer_64_1_conv1_h", x, (32, 32), 3, 1, 1, False), 32)
    x = net.add("layer_64_1_sum", "Eltwise", [net.conv("layer_64_1_conv2_h", y, (32, 32), 3, 1, 1, False), x])
    maps = {}
    for name, before, middle, after, stride, dilation in (("128", 32, 128, 128, 2, 1), ("256", 128, 256, 256, 2, 1),
                                                          ("512", 256, 128, 256, 1, 2)):
        first = net.norm(f"layer_{name}_1_bn1", x, before, in_place=False)
        y = net.conv(f"layer_{name}_1_conv1", first, (before, middle), 3, stride, 1, False)
        y = net.norm(f"layer_{name}_1_bn2", y, middle)
        y = net.conv(f"layer_{name}_1_conv2", y, (middle, after), 3, 1, dilation, False, dilation)
        wide = net.conv(f"layer_{name}_1_conv_expand", first, (before, after), 1, stride, 0, False)
        x = net.add(f"layer_{name}_1_sum", "Eltwise", [y, wide])
        if name == "256":
            maps["conv4_3_norm"] = net.add("conv4_3_norm", "Normalize", [first], None,
                                           "norm_param { across_spatial: false channel_shared: false }", [numpy.full(before, 20.0)])
    x = net.norm("last_bn_h", x, 256)
    maps["fc7"], channels = x, 256
    for name, narrow, after, stride in (("conv6", 128, 256, 2), ("conv7", 64, 128, 2), ("conv8", 64, 128, 1), ("conv9", 64, 128, 1)):
        y = net.conv(name + "_1_h", x, (channels, narrow), 1)
        y = net.add(name + "_1_relu", "ReLU", [y], y)
        x = net.conv(name + "_2_h", y, (narrow, after), 3, stride, 1)
        x = net.add(name + "_2_relu", "ReLU", [x], x)
        maps[name + "_2_h"], channels = x, after
    return maps


def heads(net, maps):
    parts = {"loc": [], "conf": [], "priorbox": []}
    for name, channels, sides, ratios, step in HEADS:
        priors = 2 + 2 * len(ratios)
        for kind, count, gain in (("loc", 4 * priors, 0.01), ("conf", 2 * priors, 0.02)):
            x = net.conv(f"{name}_mbox_{kind}", maps[name], (channels, count), 3, 1, 1, gain=gain)
            x = net.add(x + "_perm", "Permute", [x], None, "permute_param { order: 0 order: 2 order: 3 order: 1 }")
            parts[kind].append(net.add(x[:-5] + "_flat", "Flatten", [x], None, "flatten_param { axis: 1 }"))
        more = " ".join(f"aspect_ratio: {r}" for r in ratios)
        rest = (f"prior_box_param {{ min_size: {sides[0]} max_size: {sides[1]} {more} flip: true clip: false variance: 0.1 "
                f"variance: 0.1 variance: 0.2 variance: 0.2 step: {step} offset: 0.5 }}")
        parts["priorbox"].append(net.add(f"{name}_mbox_priorbox", "PriorBox", [maps[name], "data"], None, rest))
    for kind, inputs in parts.items():
        net.add(f"mbox_{kind}", "Concat", inputs, None, f"concat_param {{ axis: {2 if kind == 'priorbox' else 1} }}")
    x = net.add("mbox_conf_reshape", "Reshape", ["mbox_conf"], None, "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }")
    x = net.add("mbox_conf_softmax", "Softmax", [x], None, "softmax_param { axis: 2 }")
    x = net.add("mbox_conf_flatten", "Flatten", [x], None, "flatten_param { axis: 1 }")
    net.add("detection_out", "DetectionOutput", ["mbox_loc", x, "mbox_priorbox"], None,
            "detection_output_param { num_classes: 2 share_location: true background_label_id: 0 nms_param { nms_threshold: 0.45 "
            "top_k: 400 } code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.2 clip: true }")


def write(graph, weights, seed=1):
    net = Writer(seed)
    heads(net, body(net))
    with open(graph, "w", encoding="utf-8") as file:
        file.write("\n".join(net.text) + "\n")
    with open(weights, "wb") as file:
        file.write(b"".join(net.weights))
