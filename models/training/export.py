#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns trained weights into the official format: a prototxt and a caffemodel without batch-norm.

usage: export.py --state STATE.pt --out DIR     from train.py's state (averaged weights) or a compact one
       export.py --expand HALF.caffemodel --out FILE.caffemodel

Writes DIR/sphereface20-sphere.prototxt, DIR/sphereface20-sphere.caffemodel, whose blobs are in half precision (45 MB; read by
OpenCV's dnn and by both engines here), and DIR/provenance.json. --expand writes the same numbers in single precision, for
Caffe itself and whatever else reads its official format; both files are the same network, bit for bit. numpy alone is
needed for --expand; torch for --state.
"""
import argparse
import hashlib
import json
import os

import numpy

import architecture
import caffemodel_writer

NAME = "sphereface20-sphere"


def rounded(layers):
    """The layers with each number as half precision holds it, and the error that makes: the largest |error| / |row's largest|."""
    result, worst = [], 0.0
    for name, kind, arrays in layers:
        halves = []
        for array in arrays:
            with numpy.errstate(over="ignore"):
                half = array.astype(numpy.float16)
            if not numpy.isfinite(half).all():
                raise ValueError(f"layer {name}: a weight of {numpy.abs(array).max():.3g} does not fit half precision")
            shape = (len(array), -1) if array.ndim > 1 else (1, -1)
            rows, errors = array.reshape(shape), (half.astype(numpy.float64) - array).reshape(shape)
            scale = numpy.maximum(numpy.abs(rows).max(1, initial=0), 1e-12)
            worst = max(worst, float((numpy.abs(errors).max(1, initial=0) / scale).max(initial=0)))
            halves.append(half)
        result.append((name, kind, halves))
    return result, worst


def write_caffemodel(path, layers, half):
    with open(path + ".part", "wb") as file:
        for name, kind, arrays in layers:
            file.write(caffemodel_writer.layer(name, kind, arrays, half))
    os.replace(path + ".part", path)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def export(layers, out, notes):
    """Writes the three files; returns what provenance.json says."""
    os.makedirs(out, exist_ok=True)
    halves, worst = rounded(layers)
    weights, graph = (os.path.join(out, NAME + end) for end in (".caffemodel", ".prototxt"))
    write_caffemodel(weights, halves, half=True)
    with open(graph, "w", encoding="utf-8") as file:
        file.write("# SPDX-License-Identifier: MIT\n" + caffemodel_writer.sphereface20_prototxt())
    facts = {"parameters": sum(a.size for _, _, arrays in halves for a in arrays), "largest_rounding": worst,
             "files": [{"name": os.path.basename(p), "bytes": os.path.getsize(p), "sha256": sha256(p)} for p in (weights, graph)],
             **notes}
    with open(os.path.join(out, "provenance.json"), "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    return facts


def expand(source, target):
    write_caffemodel(target, caffemodel_writer.read_layers(source), half=False)


def of_state(path, out):
    import torch

    import network
    state = torch.load(path, map_location="cpu")
    layers = architecture.fold(network.arrays({k: v.float() if v.dtype.is_floating_point else v
                                               for k, v in state["average"].items()}))
    options = state.get("options") or {}
    kept = {k: v for k, v in options.items() if k not in ("data", "work", "teacher", "from_compact", "stop_after")}
    return export(layers, out, {"step": state["step"], "training_seconds": round(state["seconds"], 1), "options": kept,
                                "torch": torch.__version__})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state")
    parser.add_argument("--expand")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    if bool(options.state) == bool(options.expand):
        parser.error("give --state or --expand")
    if options.expand:
        expand(options.expand, options.out)
        print(f"{options.out}: {os.path.getsize(options.out)} bytes")
    else:
        print(json.dumps(of_state(options.state, options.out), indent=2))


if __name__ == "__main__":
    main()
