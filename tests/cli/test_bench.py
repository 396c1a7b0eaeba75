#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spherectl bench: what it prints of the machine and of a network; never how fast it is."""
import os
import unittest

from cli_support import run, run_json

MODEL = "ultralight"


class Bench(unittest.TestCase):
    def compare(self, *arguments):
        code, printed = run_json("bench", "--runs", "2", "--no-peak", *arguments)
        self.assertEqual(code, 0, printed)
        return printed

    def setUp(self):
        listing = run_json("models", "list")[1]["models"]
        if not any(m["name"] == MODEL and m["installed"] for m in listing):
            self.skipTest(f"model {MODEL} is not installed")

    def test_a_row_for_each_engine_and_precision(self):
        printed = self.compare(MODEL)
        machine = printed["machine"]
        self.assertEqual(machine["cores"], os.cpu_count())
        self.assertIn(machine["kernels"], ("scalar", "neon", "avx2", "avx512"))
        self.assertIn("opencv", machine["engines"])
        results = printed["models"][0]["results"]
        rows = {(r["engine"], r["precision"]): r for r in results}
        self.assertEqual(len(rows), len(results))
        self.assertIn(("opencv", "fp32"), rows)
        self.assertEqual(results[0]["ratio"], 1)
        for row in results:
            self.assertGreater(row["best_ms"], 0)
            self.assertGreaterEqual(row["median_ms"], row["best_ms"])
        if "onednn" in machine["engines"]:
            kernels = rows["onednn", "fp32"]["kernels"]
            self.assertGreater(sum(k["layers"] for k in kernels if k["operation"] == "convolution"), 10)
            self.assertTrue(all(k["kernel"] for k in kernels))

    def test_one_engine_one_precision_a_batch(self):
        printed = self.compare("--engine", "opencv", "--precision", "fp32", "--batch", "2", "--threads", "2", MODEL)
        results = printed["models"][0]["results"]
        self.assertEqual([(r["engine"], r["precision"]) for r in results], [("opencv", "fp32")])
        self.assertEqual((printed["machine"]["batch"], printed["machine"]["threads"]), (2, 2))

    def test_the_level_of_kernels_that_was_asked_for(self):
        printed = run_json("bench", "--runs", "1", "--no-peak", "--engine", "opencv", MODEL, env={"SPHERE_CPU": "scalar"})[1]
        self.assertEqual(printed["machine"]["kernels"], "scalar")
        self.assertEqual(printed["machine"]["extensions"], [])

    def test_text_and_peak(self):
        done = run("bench", "--runs", "1", "--engine", "opencv", "--kernels", MODEL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("GB/s copied", done.stdout)
        self.assertIn("opencv fp32", done.stdout)

    def test_bad_use(self):
        for arguments, says in ((["--engine", "abacus"], "abacus"), (["--batch", "0"], "--batch"), (["nobody"], "nobody")):
            done = run("bench", "--no-peak", *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
