# SPDX-License-Identifier: MIT
"""SphereFace-20 as a list of layers, and how batch-norm is folded into it. numpy only.

The architecture is that of tests/support/caffemodel_writer.py, which a test holds to the authors'
sphereface_deploy.prototxt: arXiv 1704.08063, table 2, twenty layers with PReLU and 512 numbers of `fc5`.
"""
import os
import sys

import numpy

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import caffemodel_writer  # noqa: E402

WIDTH, HEIGHT, DIMS = 96, 112, 512
MEAN, SCALE = 127.5, 0.0078125  # value = (pixel - mean) * scale, of BGR pixels
EPSILON = 1e-5                  # of batch-norm


def convolutions():
    """(name without its prefix, inputs, outputs, stride, whether a residual unit ends here), in the order of the road."""
    rows, inputs = [], 3
    for stage, (channels, units) in enumerate(caffemodel_writer.STAGES, 1):
        rows.append((f"{stage}_1", inputs, channels, 2, False))
        for layer in range(2 * units):
            rows.append((f"{stage}_{layer + 2}", channels, channels, 1, layer % 2 == 1))
        inputs = channels
    return rows


def features():
    """Numbers that go into fc5: four convolutions of stride 2 halve each side four times."""
    return caffemodel_writer.STAGES[-1][0] * (HEIGHT // 16) * (WIDTH // 16)


def fold(state):
    """`state`: arrays by the names of network.py's state dict. Returns [(layer, type, [arrays])] without batch-norm.

    BN(Wx + b) = s W x + s (b - mean) + beta with s = gamma / sqrt(var + eps), a number a channel. Padding is added before
    the convolution and the batch-norm comes after it, so this is exact at the borders too. In double precision, as the
    sums of a folded network should differ from the trained one's by the rounding of its weights alone.
    """
    def norm(name):
        gamma, beta, mean, variance = (numpy.asarray(state[f"{name}.{key}"], numpy.float64)
                                       for key in ("weight", "bias", "running_mean", "running_var"))
        scale = gamma / numpy.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    layers = []
    for name, *_ in convolutions():
        scale, shift = norm("norm" + name)
        weights = numpy.asarray(state[f"conv{name}.weight"], numpy.float64)
        layers.append((f"conv{name}", "Convolution", [weights * scale[:, None, None, None], shift]))
        layers.append((f"relu{name}", "PReLU", [numpy.asarray(state[f"relu{name}.weight"], numpy.float64)]))
    scale, shift = norm("norm5")
    weights, bias = (numpy.asarray(state[f"fc5.{key}"], numpy.float64) for key in ("weight", "bias"))
    layers.append(("fc5", "InnerProduct", [weights * scale[:, None], bias * scale + shift]))
    return layers


def random_state(seed):
    """A state dict as it might be after training, with batch-norm statistics that are no identity: for tests."""
    random = numpy.random.default_rng(seed)
    state = {}

    def norm(name, channels):
        state[f"{name}.weight"] = random.uniform(0.5, 1.5, channels)
        state[f"{name}.bias"] = random.normal(0, 0.2, channels)
        state[f"{name}.running_mean"] = random.normal(0, 0.3, channels)
        state[f"{name}.running_var"] = random.uniform(0.5, 2, channels)

    for name, inputs, outputs, _, _ in convolutions():
        state[f"conv{name}.weight"] = random.normal(0, numpy.sqrt(1.6 / (9 * inputs)), (outputs, inputs, 3, 3))
        state[f"relu{name}.weight"] = random.uniform(0.1, 0.4, outputs)
        norm("norm" + name, outputs)
    state["fc5.weight"] = random.normal(0, 1 / numpy.sqrt(features()), (DIMS, features()))
    state["fc5.bias"] = random.normal(0, 0.05, DIMS)
    norm("norm5", DIMS)
    return {key: value.astype(numpy.float32) for key, value in state.items()}
