# SPDX-License-Identifier: MIT
"""Runs a Python program that uses cv2.dnn, with the time inside Net.forward added up.

usage: timed_peer.py PROGRAM [ARG ...]; prints what the program prints, then one JSON line
{"forward_s": …, "forward_calls": …}.
"""
import json
import runpy
import sys
import time

import cv2

SPENT = {"forward_s": 0.0, "forward_calls": 0}


class TimedNet:
    """A cv2.dnn.Net whose forward() is timed."""

    def __init__(self, net):
        self._net = net

    def __getattr__(self, name):
        return getattr(self._net, name)

    def forward(self, *args):
        begin = time.perf_counter()
        result = self._net.forward(*args)
        SPENT["forward_s"] += time.perf_counter() - begin
        SPENT["forward_calls"] += 1
        return result


def timed(read):
    return lambda *args: TimedNet(read(*args))


def main():
    cv2.dnn.readNet = timed(cv2.dnn.readNet)
    cv2.dnn.readNetFromONNX = timed(cv2.dnn.readNetFromONNX)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    print(json.dumps(SPENT))


if __name__ == "__main__":
    main()
