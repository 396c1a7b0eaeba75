#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The long run as one command, for a machine that may be taken away at any moment and gives little back.

usage: run.py --data DIR --teacher FILE --work DIR --out DIR --minutes M [--stop-after S] [--piece-bytes N] [options of train.py]

Repeat it until it ends with 0; it ends with 75 while there is more to do. Whatever is done is kept in --work. After each
call --out holds log.csv, log.svg and summary.json, and in pieces of at most N bytes (join them with pack.py) either the
finished export, or a compact state (52 MB) from which another machine goes on: run.py ... --from-compact compact.pt.
"""
import argparse
import json
import os
import shutil
import signal
import sys

import export
import pack
import teacher
import train


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--piece-bytes", type=int, default=15 << 20)
    known, rest = parser.parse_known_args()
    teacher.check_is_fr_feature(known.teacher)
    trainer = train.Trainer(train.parse(["--work", known.work, "--teacher", known.teacher, *rest]), lambda text: print(text, flush=True))

    def stop(*_):
        trainer.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    summary = trainer.run()
    os.makedirs(known.out, exist_ok=True)
    for name in ("log.csv", "log.svg"):
        shutil.copy(trainer.path(name), known.out)
    with open(os.path.join(known.out, "summary.json"), "w", encoding="utf-8") as file:
        json.dump(summary, file)
    if summary["done"]:
        exported = trainer.path("export")
        export.of_state(trainer.path("state.pt"), exported)
        files = [os.path.join(exported, name) for name in sorted(os.listdir(exported))]
    else:
        trainer.save_compact(trainer.path("compact.pt"))
        files = [trainer.path("compact.pt")]
    pack.split(files, known.out, known.piece_bytes)
    sys.exit(0 if summary["done"] else 75)


if __name__ == "__main__":
    main()
