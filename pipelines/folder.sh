#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# annotate.sh or redact.sh for each video of a folder: one that fails does not stop the others.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=lib/common.sh
source "$root/pipelines/lib/common.sh"

usage() {
    cat <<'USAGE'
usage: pipelines/folder.sh annotate|redact FOLDER OUTPUT-FOLDER [OPTION OF annotate.sh OR redact.sh]...

Each video of FOLDER and of the folders in it gives one of the same name, in the same place, in OUTPUT-FOLDER
(with annotate, its record beside it). Those that are there already are left alone: run it again to go on. The
exit status is 1 where a video failed; what it said is shown and the others are done.

  pipelines/folder.sh annotate videos annotated --gallery people.db
  pipelines/folder.sh redact videos redacted --method blur
USAGE
}

[[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
(($# >= 3)) || { usage >&2; die "what, from where and to where are needed"; }
what=$1 from=${2%/} to=${3%/}
shift 3
[[ $what == annotate || $what == redact ]] || die "annotate or redact, not $what"
[[ -d $from ]] || die "there is no folder $from"
for option in "$@"; do
    [[ $option != --output && $option != --record ]] || die "$option is decided by the folder here"
done
mkdir -p "$to"
from=$(cd "$from" && pwd) to=$(cd "$to" && pwd)
[[ $to != "$from" ]] || die "the output folder must be another than $from"

# Not what an earlier run left, if the output is inside the input.
mapfile -d '' -t videos < <(find "$from" -path "$to" -prune -o -type f \( -iname '*.mp4' -o -iname '*.mov' \
    -o -iname '*.mkv' -o -iname '*.webm' -o -iname '*.avi' -o -iname '*.ts' -o -iname '*.m4v' -o -iname '*.mpg' \
    \) -print0 | sort -z)
((${#videos[@]})) || die "$from holds no video (mp4, mov, mkv, webm, avi, ts, m4v, mpg)"

made=0 kept=0 failed=0
for video in "${videos[@]}"; do
    name=${video#"$from"/}
    # With its ending, so that a.mp4 and a.mov do not write to the same file.
    output=$to/$name
    if [[ -e $output.mp4 || -e $output.mkv ]]; then
        kept=$((kept + 1))
        continue
    fi
    step "$name"
    part=$to/.part-$$
    options=(--output "$part")
    [[ $what == redact ]] || options+=(--record "$part.jsonl")
    if "$root/pipelines/$what.sh" "${options[@]}" "$@" "$video" >/dev/null; then
        mkdir -p "$(dirname "$output")"
        for ending in jsonl mkv mp4; do # the video last: it says that all is done
            [[ ! -e $part.$ending ]] || { mv "$part.$ending" "$output.$ending"; echo "$output.$ending"; }
        done
        made=$((made + 1))
    else
        failed=$((failed + 1))
    fi
    rm -f "$part".*
done
note "$made made, $kept there before, $failed failed"
((failed == 0))
