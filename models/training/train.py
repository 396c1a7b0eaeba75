#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains SphereFace-20: distils a teacher's embeddings and separates labelled people.

usage: train.py --data DIR --teacher fr_feature.onnx --work DIR (--minutes M | --steps N) [...]

The same command again goes on where the last one stopped, however it stopped: crops and teacher embeddings are
cached in --work, state is written every --save-seconds and replaced as a whole. With --steps a run that was
interrupted takes the same steps as one that was not; with --minutes the schedule follows the time that was spent on
steps, over all calls.
"""
import argparse
import csv
import json
import math
import os
import signal
import sys
import time

import numpy
import torch
from torch.nn import functional

import curves
import data
import losses
import network
import teacher
from augment import Augmenter, student_input, teacher_input

COLUMNS = ("step", "seconds", "crops", "rate", "loss", "distillation", "margin", "held_out_distance", "held_out_pairs")
SHARED = ("crops", "pixels", "targets", "split", "labels", "heads")  # what runs on the same crops have in common


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a = parser.add_argument
    a("--data", required=True, help="crops-N.bin and index.tsv")
    a("--teacher", required=True, help="fr_feature.onnx")
    a("--work", required=True, help="caches, state, log; made if absent")
    a("--run", help="state and log, where they are not to be in --work")
    a("--minutes", type=float, default=0, help="time of training, over all calls")
    a("--steps", type=int, default=0, help="steps of training, over all calls")
    a("--stop-after", type=float, default=0, help="seconds after which this call saves and ends")
    a("--limit", type=int, default=0, help="only the first crops of the index")
    a("--batch", type=int, default=768)
    a("--rate", type=float, default=2e-3, help="highest learning rate (AdamW)")
    a("--decay", type=float, default=0.05, help="weight decay of convolutions and fc5")
    a("--warm-up", type=float, default=0.04, help="share of the run in which the rate rises")
    a("--margin", type=float, default=0.5, help="weight of the margin loss against distillation's 1")
    a("--margin-start", type=float, default=0.1, help="share of the run after which the margin loss fades in, over as long again")
    a("--online", type=float, default=0.5, help="share of a batch whose target is the teacher's answer to the moved crop, not to the "
      "crop as it is")
    a("--mix", type=float, default=0.5, help="share of those that are blends of two faces")
    a("--geometry", type=float, default=1.0)
    a("--camera", type=float, default=1.0)
    a("--ema", type=float, default=0.999, help="decay of the averaged weights, which are what is kept")
    a("--seed", type=int, default=1)
    a("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a("--fp32", action="store_true", help="no bf16 on a GPU")
    a("--compile", action="store_true", help="torch.compile, where it is there")
    a("--threads", type=int, default=0)
    a("--save-seconds", type=float, default=60)
    a("--log-steps", type=int, default=20)
    a("--held-out-seconds", type=float, default=60, help="between measurements on held-out crops")
    a("--from-compact", help="begin with weights that pack.py --join brought back, if --work holds no state")
    options = parser.parse_args(arguments)
    if not options.steps and not options.minutes:
        parser.error("give --minutes or --steps")
    return options


def write_atomically(path, write):
    """What has the name is whole, also after a power cut."""
    with open(path + ".part", "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


class Trainer:
    def __init__(self, options, report=print, like=None):
        """`like`: another trainer of the same crops, whose data are shared."""
        self.options, self.report = options, report
        self.device = torch.device(options.device)
        if options.threads:
            torch.set_num_threads(options.threads)
        torch.backends.cudnn.benchmark = True
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        for folder in (options.work, options.run or options.work):
            os.makedirs(folder, exist_ok=True)
        torch.manual_seed(options.seed)
        if like is None:
            self._load_data()
        else:
            for name in SHARED:
                setattr(self, name, getattr(like, name))
        self._make_network()
        self.step, self.seconds = 0, 0.0
        self.stopping = False
        self._resume()

    def path(self, name):
        return os.path.join(self.options.run or self.options.work, name)

    def _load_data(self):
        o, started = self.options, time.monotonic()
        index = data.read_index(o.data, o.limit)
        self.crops = data.load_crops(o.data, o.work, index, o.limit)
        self.report(f"{len(self.crops)} crops after {time.monotonic() - started:.0f} s")
        targets = teacher.embeddings(o.teacher, self.crops, o.work, data.fingerprint(o.data, o.limit), self.device,
                                     report=self.report)
        self.report(f"teacher's embeddings after {time.monotonic() - started:.0f} s")
        self.split = data.Split(index)
        doubtful = self.split.drop_doubtful(targets)
        self.report(f"{len(self.split.train)} crops to train on, {int((self.split.label >= 0).sum())} labelled as one of "
                    f"{self.split.classes} people in {len(set(self.split.class_head.tolist()))} sets ({doubtful} doubtful labels "
                    f"dropped); {len(self.split.held)} held out, with {len(self.split.pairs)} pairs")
        on_device = self.device.type == "cuda"
        # 3 GB of uint8 fit a GPU many times; on a CPU the file stays mapped.
        self.pixels = torch.from_numpy(numpy.array(self.crops)).to(self.device) if on_device else None
        self.targets = torch.from_numpy(numpy.array(targets)).to(self.device) if on_device else targets
        self.labels = torch.from_numpy(self.split.label).to(self.device)
        self.heads = torch.from_numpy(self.split.head).to(self.device)

    def rows(self, numbers):
        """(pixels, targets) of crops, on the device."""
        if self.pixels is not None:
            where = torch.from_numpy(numbers).to(self.device)
            return self.pixels[where], self.targets[where].float()
        return torch.from_numpy(self.crops[numbers]), torch.from_numpy(self.targets[numbers]).float()

    def _make_network(self):
        o = self.options
        layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        self.net = network.SphereFace20().to(self.device).to(memory_format=layout)
        self.average = network.SphereFace20().to(self.device).to(memory_format=layout)
        self.average.load_state_dict(self.net.state_dict())
        self.average.eval()
        self.margin = losses.SphereFaceR(self.split.class_head).to(self.device)
        self._start_classes()
        decayed = [p for n, p in self.net.named_parameters() if p.dim() > 1]
        others = [p for n, p in self.net.named_parameters() if p.dim() <= 1]
        # A class is seen rarely and starts where the teacher has it; Adam would move it as far a step as any weight.
        groups = [{"params": decayed, "weight_decay": o.decay, "share": 1.0}, {"params": others, "weight_decay": 0.0, "share": 1.0},
                  {"params": list(self.margin.parameters()), "weight_decay": 0.0, "share": 0.1}]
        fused = {"fused": True} if self.device.type == "cuda" else {}
        self.optimizer = torch.optim.AdamW(groups, lr=o.rate, betas=(0.9, 0.98), **fused)
        self.teacher = teacher.load(o.teacher, self.device) if o.online > 0 else None
        self.augmenter = Augmenter(self.device, o.geometry, o.camera)
        self.run_net = self.net
        if o.compile and hasattr(torch, "compile"):
            self.run_net = torch.compile(self.net)

    def _start_classes(self):
        if not self.split.classes:
            return
        numbers = numpy.flatnonzero(self.split.label >= 0)
        centres = torch.zeros(self.split.classes, 512)
        rows = torch.from_numpy(numpy.asarray(self.targets[numbers] if self.pixels is None
                                              else self.targets[torch.from_numpy(numbers).to(self.device)].cpu())).float()
        centres.index_add_(0, torch.from_numpy(self.split.label[numbers]), rows.mean(1))
        empty = centres.norm(dim=1) == 0  # all of its labels were doubtful
        centres[empty] = torch.randn(int(empty.sum()), 512)
        self.margin.start_from(centres)

    def _resume(self):
        """The state of --work, or the compact one of another machine."""
        if os.path.exists(self.path("state.pt")):
            state = torch.load(self.path("state.pt"), map_location=self.device)
            for name in ("net", "average", "margin", "optimizer"):
                getattr(self, name).load_state_dict(state[name])
            self.step, self.seconds = state["step"], state["seconds"]
        elif self.options.from_compact:
            # Weights alone: the optimiser's memory begins anew, for its two moments are twice as large as they.
            state = torch.load(self.options.from_compact, map_location=self.device)
            for name in ("net", "average"):
                getattr(self, name).load_state_dict({k: v.float() if v.dtype.is_floating_point else v
                                                     for k, v in state["average"].items()})
            if state["margin"]["weight"].shape == self.margin.weight.shape:
                self.margin.load_state_dict({k: v.float() if v.dtype.is_floating_point else v
                                             for k, v in state["margin"].items()})
            self.step, self.seconds = state["step"], state["seconds"]
        if self.step:
            self.report(f"goes on at step {self.step}, after {self.seconds:.0f} s of training")

    def save(self):
        if not all(torch.isfinite(p).all() for p in self.net.parameters()):
            raise SystemExit("the weights are no longer finite; the last good state stays: lower --rate")
        state = {"step": self.step, "seconds": self.seconds, "options": vars(self.options),
                 **{name: getattr(self, name).state_dict() for name in ("net", "average", "margin", "optimizer")}}
        write_atomically(self.path("state.pt"), lambda file: torch.save(state, file))

    def save_compact(self, path):
        """Averaged weights and classes in half precision, some 52 MB: what fits through a narrow door."""
        def half(module):
            return {k: v.half().cpu() if v.dtype.is_floating_point else v.cpu() for k, v in module.state_dict().items()}

        state = {"step": self.step, "seconds": self.seconds, "average": half(self.average), "margin": half(self.margin)}
        write_atomically(path, lambda file: torch.save(state, file))

    def progress(self):
        o = self.options
        by_step = self.step / o.steps if o.steps else 0
        by_time = self.seconds / (60 * o.minutes) if o.minutes else 0
        return max(by_step, by_time)

    def rate(self, progress):
        o = self.options
        if progress < o.warm_up:
            return o.rate * max(progress / o.warm_up, 0.02)
        return o.rate * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * (progress - o.warm_up) / (1 - o.warm_up))))

    def batch(self):
        """The student's input, the teacher's answer, labels and their heads. Depends on seed and step alone."""
        o = self.options
        numbers = data.batch_at(self.split.train, o.seed, self.step, o.batch)
        generator = torch.Generator(device=self.device).manual_seed(o.seed * 1_000_003 + self.step)
        pixels, targets = self.rows(numbers)
        where = torch.from_numpy(numbers).to(self.device)
        label, head = self.labels[where], self.heads[where]
        count = len(numbers)
        mirrored = torch.rand(count, generator=generator, device=self.device) < 0.5
        target = targets[torch.arange(count, device=self.device), mirrored.long()]
        x = self.augmenter.move(pixels, mirrored, generator)
        online = int(round(o.online * count))
        if online:
            blended = int(round(o.mix * online))
            if blended > 1:
                share = self.augmenter.uniform(generator, (blended, 1, 1, 1), 0.2, 0.8)
                x = torch.cat([share * x[:blended] + (1 - share) * x[:blended].roll(1, 0), x[blended:]])
                label = torch.cat([torch.full_like(label[:blended], -1), label[blended:]])
            with torch.no_grad(), self.precision():
                answers = self.teacher(teacher_input(x[:online]))
            target = torch.cat([functional.normalize(answers.float(), dim=1), target[online:]])
        return student_input(self.augmenter.spoil(x, generator)), target, label, head

    def precision(self):
        fast = self.device.type == "cuda" and not self.options.fp32
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=fast)

    def train_step(self):
        """One step; returns (loss, distillation, margin) as tensors, unread so that a GPU is not waited for."""
        o, progress = self.options, self.progress()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(progress) * group["share"]
        x, target, label, head = self.batch()
        if self.device.type == "cuda":
            x = x.to(memory_format=torch.channels_last)
        self.net.train()
        with self.precision():
            embedding = self.run_net(x)
        distance = losses.distillation(embedding, target).mean()
        weight = o.margin * min(max((progress - o.margin_start) / max(o.margin_start, 1e-6), 0), 1)
        known = torch.nonzero(label >= 0).flatten()
        margin = torch.zeros((), device=self.device)
        if weight > 0 and self.split.classes and len(known):
            margin = self.margin(embedding[known], label[known], head[known]).sum() / len(label)
        loss = distance + weight * margin
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return loss.detach(), distance.detach(), margin.detach()

    @torch.no_grad()
    def _update_average(self):
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        mine, theirs = list(self.average.state_dict().values()), list(self.net.state_dict().values())
        floats = [(a, b) for a, b in zip(mine, theirs) if a.dtype.is_floating_point]
        torch._foreach_mul_([a for a, _ in floats], decay)
        torch._foreach_add_([a for a, _ in floats], [b for _, b in floats], alpha=1 - decay)

    @torch.no_grad()
    def embed(self, numbers, batch=256):
        """float32 [n, 2, 512]: the averaged network's embeddings of crops and their mirrors."""
        out = []
        for begin in range(0, len(numbers), batch):
            pixels, _ = self.rows(numbers[begin:begin + batch])
            x = student_input(pixels.permute(0, 3, 1, 2).float())
            with self.precision():
                out.append(torch.stack([self.average(x), self.average(x.flip(-1))], 1).float().cpu())
        return torch.cat(out)

    def held_out(self):
        """(mean 1 - cosine to the teacher, share of pairs that the best threshold gets right), on held-out crops."""
        if not len(self.split.held):
            return float("nan"), float("nan")
        embedded = self.embed(self.split.held)
        _, targets = self.rows(self.split.held)
        distance = float(losses.distillation(embedded.flatten(0, 1), targets.cpu().flatten(0, 1)).mean())
        if not len(self.split.pairs):
            return distance, float("nan")
        place = {int(n): i for i, n in enumerate(self.split.held)}
        pairs = torch.tensor([[place[int(a)], place[int(b)]] for a, b in self.split.pairs])
        return distance, best_accuracy(embedded, pairs, self.split.same)

    def run(self):
        o, began = self.options, time.monotonic()
        log = Log(self.path("log.csv"), self.step)
        last_save = last_measured = time.monotonic()
        total, counted = torch.zeros(3, device=self.device), 0
        while self.progress() < 1 and not self.stopping:
            started = time.monotonic()
            total, counted = total + torch.stack(self.train_step()), counted + 1
            due = self.step % o.log_steps == 0
            if due:
                values = (total / counted).tolist()  # means since the last row; waits for the device
                total, counted = torch.zeros(3, device=self.device), 0
                if not all(map(math.isfinite, values)):
                    raise SystemExit(f"step {self.step}: the loss is {values[0]}; the last good state stays: lower --rate")
            elif self.device.type == "cuda" and self.step % 4 == 0:
                torch.cuda.synchronize()  # so that the time is that of steps done
            self.seconds += time.monotonic() - started
            now = time.monotonic()
            if due:
                row = dict(zip(("loss", "distillation", "margin"), values), step=self.step, seconds=self.seconds,
                           crops=self.step * o.batch, rate=self.optimizer.param_groups[0]["lr"])
                if now - last_measured >= o.held_out_seconds:
                    row["held_out_distance"], row["held_out_pairs"] = self.held_out()
                    last_measured = time.monotonic()
                log.add(row)
                self.report(" ".join(f"{k} {v:.5g}" for k, v in row.items()))
            if now - last_save >= o.save_seconds:
                self.save()
                last_save = time.monotonic()
            self.stopping |= bool(o.stop_after) and now - began >= o.stop_after
        distance, pairs = self.held_out()
        log.add({"step": self.step, "seconds": self.seconds, "crops": self.step * o.batch, "held_out_distance": distance,
                 "held_out_pairs": pairs})
        self.save()
        curves.draw(self.path("log.csv"), self.path("log.svg"))
        done = self.progress() >= 1
        summary = {"step": self.step, "seconds": round(self.seconds, 1), "done": done,
                   **{k: v if math.isfinite(v) else None for k, v in (("held_out_distance", distance), ("held_out_pairs", pairs))},
                   "crops_per_second": round(self.step * o.batch / max(self.seconds, 1e-9), 1)}
        self.report(json.dumps(summary))
        return summary


def best_accuracy(embedded, pairs, same):
    """Share of pairs that one threshold on crop and mirror side by side gets right, at best."""
    rows = functional.normalize(embedded.flatten(1), dim=1)
    distance = 1 - (rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(1).numpy()
    order = numpy.argsort(distance, kind="stable")
    hits = numpy.cumsum(numpy.where(same[order], 1, -1))
    return float((max(int(hits.max()), 0) + int((~same).sum())) / len(same))


class Log:
    """log.csv; what stands there after the resumed step is dropped, for it is run again."""

    def __init__(self, path, step):
        self.path, rows = path, []
        if os.path.exists(path):
            with open(path, encoding="utf-8", newline="") as file:
                rows = [r for r in csv.DictReader(file) if (r.get("step") or "").isdigit() and int(r["step"]) <= step]
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    def add(self, row):
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, COLUMNS).writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def main():
    options = parse()
    teacher.check_is_fr_feature(options.teacher)
    trainer = Trainer(options, lambda text: print(text, flush=True))

    def stop(*_):
        trainer.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    summary = trainer.run()
    sys.exit(0 if summary["done"] else 75)  # EX_TEMPFAIL: call again


if __name__ == "__main__":
    main()
