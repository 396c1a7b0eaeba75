#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Engine onednn, OpenCV dnn and ONNX Runtime in turns, on the same networks: ms a picture and ratios.

usage: bench_peers.py --bench BUILD/tests/bench_engines --ort FOLDER [--threads N] [--rounds N]

FOLDER is where `npm install --ignore-scripts onnxruntime-node` was run. SphereFace-20 is its true architecture
with made weights, once for Caffe's readers and once as ONNX. A round runs bench_engines and then ONNX Runtime;
ratios are within a round, and their median is printed.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import caffemodel_writer as caffe  # noqa: E402  (found by the line above)

LINE = re.compile(r"^\S+\s+(\w+ \w+)\s+batch.*median\s+([\d.]+) ms")


def bytes_field(tag, payload):
    return caffe.field(tag, payload)


def int_field(tag, value):
    return caffe.varint(tag << 3) + caffe.varint(value)


def tensor(name, array):
    """onnx.proto's TensorProto: dims = 1, data_type = 2 (float), name = 8, raw_data = 9."""
    dims = b"".join(int_field(1, d) for d in array.shape)
    return bytes_field(5, dims + int_field(2, 1) + bytes_field(8, name.encode()) +
                       bytes_field(9, array.astype("<f4").tobytes()))


def ints(name, values):
    return bytes_field(5, bytes_field(1, name.encode()) + b"".join(int_field(8, v) for v in values) +
                       int_field(20, 7))


def integer(name, value):
    return bytes_field(5, bytes_field(1, name.encode()) + int_field(3, value) + int_field(20, 2))


def node(kind, inputs, output, attributes=b""):
    return bytes_field(1, b"".join(bytes_field(1, i.encode()) for i in inputs) +
                       bytes_field(2, output.encode()) + bytes_field(4, kind.encode()) + attributes)


def value(tag, name, shape):
    dims = b"".join(bytes_field(1, int_field(1, d)) for d in shape)
    return bytes_field(tag, bytes_field(1, name.encode()) +
                       bytes_field(2, bytes_field(1, int_field(1, 1) + bytes_field(2, dims))))


def write_sphereface_onnx(path):
    """The architecture of caffemodel_writer.STAGES with batch 1."""
    random = numpy.random.default_rng(1)
    nodes, tensors = b"", b""
    last, channels = "data", 3

    def conv(name, outputs, stride):
        nonlocal nodes, tensors, last, channels
        scale = numpy.sqrt(1.6 / (channels * 9))
        tensors += tensor(f"w{name}", random.normal(0, scale, (outputs, channels, 3, 3)))
        tensors += tensor(f"b{name}", random.normal(0, 0.05, outputs))
        tensors += tensor(f"s{name}", random.uniform(0.1, 0.4, (outputs, 1, 1)))
        nodes += node("Conv", [last, f"w{name}", f"b{name}"], f"conv{name}",
                      ints("kernel_shape", [3, 3]) + ints("strides", [stride] * 2) + ints("pads", [1] * 4))
        nodes += node("PRelu", [f"conv{name}", f"s{name}"], f"relu{name}")
        last, channels = f"relu{name}", outputs

    for stage, (outputs, units) in enumerate(caffe.STAGES, 1):
        conv(f"{stage}_1", outputs, 2)
        for unit in range(units):
            first = last
            conv(f"{stage}_{2 * unit + 2}", outputs, 1)
            conv(f"{stage}_{2 * unit + 3}", outputs, 1)
            nodes += node("Add", [first, last], f"res{stage}_{unit}")
            last = f"res{stage}_{unit}"
    tensors += tensor("wfc", random.normal(0, 0.007, (512, 512 * 7 * 6))) + tensor("bfc", numpy.zeros(512))
    nodes += node("Flatten", [last], "flat", integer("axis", 1))
    nodes += node("Gemm", ["flat", "wfc", "bfc"], "fc5", integer("transB", 1))
    graph = (nodes + bytes_field(2, b"sphereface20") + tensors + value(11, "data", (1, 3, 112, 96)) +
             value(12, "fc5", (1, 512)))
    with open(path, "wb") as file:
        file.write(int_field(1, 7) + bytes_field(8, int_field(2, 11)) + bytes_field(7, graph))


def locate(name):
    for folder in os.environ.get("SPHERE_MODEL_PATH", "").split(":") + [
            os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"),
                         "sphere", "models")]:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    return None


def networks(folder):
    """(title, what bench_engines calls it, ONNX file, input shape)"""
    prototxt, weights = os.path.join(folder, "net.prototxt"), os.path.join(folder, "net.caffemodel")
    with open(prototxt, "w", encoding="utf-8") as file:
        file.write(caffe.sphereface20_prototxt())
    caffe.write_model(caffe.parse(caffe.sphereface20_prototxt()), weights, 1)
    onnx = os.path.join(folder, "net.onnx")
    write_sphereface_onnx(onnx)
    rows = [("sphereface20", f"{prototxt}:{weights}", onnx, "1,3,112,96")]
    for title, name, shape in (("fr_feature", "fr_feature.onnx", "1,3,112,112"),
                               ("yunet-640", "yunet_n_640_640.onnx", "1,3,640,640")):
        path = locate(name)
        if path:
            rows.append((title, title, path, shape))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--ort", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for title, name, onnx, shape in networks(folder):
            ours, peer, version = {}, [], ""
            for turn in range(options.rounds):
                command = [options.bench, "--runs", "15", "--threads", str(options.threads)]
                command += ["--calibrate"] if turn == 0 and title == "sphereface20" else []
                done = subprocess.run(command + [name], capture_output=True, text=True, check=True)
                if turn == 0 and title == "sphereface20":
                    print("\n".join(done.stdout.splitlines()[:3]))
                for line in done.stdout.splitlines():
                    found = LINE.match(line)
                    if found:
                        ours.setdefault(found[1], []).append(float(found[2]))
                answer = json.loads(subprocess.run(
                    ["node", os.path.join(HERE, "peer_onnxruntime.js"), options.ort, onnx, shape,
                     str(options.threads), "15"], capture_output=True, text=True, check=True).stdout)
                peer.append(answer["ms"])
                version = answer["version"]
            print(f"{title}: threads {options.threads}, batch 1; ONNX Runtime {version} fp32 "
                  f"{statistics.median(peer):.2f} ms")
            base = ours.get("opencv fp32", [])
            for engine, times in ours.items():
                print(f"  {engine:12} {statistics.median(times):8.2f} ms"
                      f"  {statistics.median(b / t for b, t in zip(base, times)):6.2f}x OpenCV dnn"
                      f"  {statistics.median(p / t for p, t in zip(peer, times)):6.2f}x ONNX Runtime")


if __name__ == "__main__":
    main()
