// SPDX-License-Identifier: MIT
// One network in ONNX Runtime: prints {"ms": median, "version": ...}. Telemetry exists on Windows only.
//   node peer_onnxruntime.js FOLDER-WITH-NODE_MODULES MODEL.onnx BATCH,C,H,W THREADS RUNS
"use strict";
const path = require("path");
const [folder, file, shape, threads, runs] = process.argv.slice(2);
const modules = path.join(folder, "node_modules", "onnxruntime-node");
const ort = require(modules);

async function main() {
  const dims = shape.split(",").map(Number);
  const session = await ort.InferenceSession.create(file, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    extra: {session: {set_denormal_as_zero: "1"}}, // as engine onednn does
  });
  const data = new Float32Array(dims.reduce((a, b) => a * b, 1)).map(() => Math.random() * 2 - 1);
  const feeds = {[session.inputNames[0]]: new ort.Tensor("float32", data, dims)};
  const took = [];
  for (let i = -3; i < Number(runs); ++i) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    if (i >= 0) took.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  took.sort((a, b) => a - b);
  const version = require(path.join(modules, "package.json")).version;
  console.log(JSON.stringify({ms: took[took.length >> 1] / dims[0], version}));
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
