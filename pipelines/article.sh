#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The experiment of the article of October 2020 by one command: faces found, aligned and embedded, a threshold fitted by
# C4.5 for each metric, the distributions drawn, the pairs that come out right and wrong laid out as a sheet.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common environment; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/article.sh --images DIR [OPTION]...

DIR holds the pictures of deepface's unit tests (tests/dataset of serengil/deepface, October 2020) and master.csv with
the columns file_x, file_y, Decision; or any pictures with such a table.

  --pairs CSV       the table (default: DIR/master.csv)
  --out DIR         where results go (default: ./article)
  --model NAME      recogniser (default: sphereface20-deepface, the article's, where its weights are installed; else
                    what auto takes)
  --detector NAME   default: haar-deepface with the article's recogniser, else auto
  -h, --help        this text

It writes OUT/METRIC.json, METRIC.csv (a distance a pair), METRIC.svg (distributions and ROC) and METRIC.jpg (the
sheet) for cosine and euclidean, and OUT/summary.txt.
USAGE
}

images='' pairs='' out=article model='' detector=''
while (($#)); do
    case $1 in
    --images) images=${2:?"$1 needs a value"}; shift ;;
    --pairs) pairs=${2:?"$1 needs a value"}; shift ;;
    --out) out=${2:?"$1 needs a value"}; shift ;;
    --model) model=${2:?"$1 needs a value"}; shift ;;
    --detector) detector=${2:?"$1 needs a value"}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown option $1" ;;
    esac
    shift
done
[[ -n $images ]] || { usage >&2; die "no pictures given"; }
[[ -d $images ]] || die "$images is not a folder"
pairs=${pairs:-$images/master.csv}
[[ -r $pairs ]] || die "no table of pairs at $pairs: give one with --pairs"
python=/usr/bin/python3
"$python" -c 'import cv2' 2>/dev/null || die "OpenCV's Python is not here: apt-get install python3-opencv"
if ! have spherectl && [[ -x $root/build-demo/core/cli/spherectl ]]; then
    use_build "$root/build-demo" "$root"
fi
have spherectl || die "spherectl is not here. Build it (pipelines/demo.sh does), or run this inside: meson devenv -C BUILD"

installed() {
    spherectl models list --json | "$python" -c '
import json, sys
sys.exit(not any(m["name"] == sys.argv[1] and m["installed"] for m in json.load(sys.stdin)["models"]))' "$1"
}

official=no
if [[ -z $model ]] && installed sphereface20-deepface; then
    model=sphereface20-deepface official=yes
fi
if [[ -z $model ]]; then
    model=auto
    note "The article's weights (sphereface20-deepface) are not installed: its numbers cannot be repeated here."
    note "'spherectl models fetch sphereface20-deepface' says where they are. Going on with what there is."
fi
[[ $model == sphereface20-deepface ]] && official=yes
if [[ -z $detector ]]; then
    detector=auto
    [[ $official == yes ]] && detector=haar-deepface
fi

mkdir -p "$out"
for metric in cosine euclidean; do
    step "$metric: distances of all pairs, C4.5, distributions"
    spherectl calibrate --json --model "$model" --detector "$detector" --metric "$metric" --pairs "$pairs" \
        --images "$images" --plot "$out/$metric.svg" --distances "$out/$metric.csv" >"$out/$metric.json"
    step "$metric: sheet"
    "$python" "$root/pipelines/lib/contact_sheet.py" --result "$out/$metric.json" --distances "$out/$metric.csv" \
        --out "$out/$metric.jpg"
done
"$python" "$root/pipelines/lib/article_summary.py" --out "$out" --official "$official" | tee "$out/summary.txt"
