# SPDX-License-Identifier: MIT
"""Learning curves from log.csv to an SVG, without a plotting library.

usage: curves.py LOG.csv OUT.svg
"""
import csv
import sys

PANELS = [("distillation (1 - cosine to the teacher)", ("distillation", "held_out_distance")),
          ("margin loss", ("margin",)), ("held-out pairs right", ("held_out_pairs",)), ("learning rate", ("rate",))]
COLOURS = ("#1f77b4", "#d62728")
WIDTH, HEIGHT, LEFT, TOP = 380, 200, 56, 34


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def panel(title, names, rows, x, y):
    points = {name: [(r["step"], r[name]) for r in rows if name in r] for name in names}
    everything = [p for line in points.values() for p in line]
    out = [f'<text x="{x + LEFT}" y="{y + 20}" font-size="13">{title}</text>',
           f'<rect x="{x + LEFT}" y="{y + TOP}" width="{WIDTH - LEFT - 12}" height="{HEIGHT - TOP - 26}" fill="none" stroke="#888"/>']
    if not everything:
        return out
    last = max(max(p[0] for p in everything), 1)
    low, high = min(p[1] for p in everything), max(p[1] for p in everything)
    span = high - low or 1

    def place(step, value):
        return (x + LEFT + step / last * (WIDTH - LEFT - 12),
                y + TOP + (1 - (value - low) / span) * (HEIGHT - TOP - 26))

    for value in (low, high):
        out.append(f'<text x="{x + LEFT - 4}" y="{place(0, value)[1] + 4:.1f}" font-size="10" text-anchor="end">{value:.4g}</text>')
    out.append(f'<text x="{x + WIDTH - 12}" y="{y + HEIGHT - 10}" font-size="10" text-anchor="end">step {last:.0f}</text>')
    for i, name in enumerate(names):
        line = " ".join("{:.1f},{:.1f}".format(*place(*p)) for p in points[name])
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[i]}" stroke-width="1.4"/>')
        if len(names) > 1:
            out.append(f'<text x="{x + LEFT + 6 + 120 * i}" y="{y + HEIGHT - 10}" font-size="10" fill="{COLOURS[i]}">{name}</text>')
    return out


def draw(log, out):
    rows = read(log)
    body = [line for i, (title, names) in enumerate(PANELS)
            for line in panel(title, names, rows, (i % 2) * WIDTH, (i // 2) * HEIGHT)]
    with open(out, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{2 * HEIGHT}" '
                   'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    draw(*sys.argv[1:])
