#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Records a file, an RTSP camera or a V4L2 camera with the faces in it beside it: as records (JSON lines),
# which playback.sh shows as boxes, and as WebVTT, whose names any player shows as subtitles.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common environment input output run; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/record.sh --gallery GALLERY [OPTION]... INPUT

INPUT is a file, rtsp://HOST/PATH or /dev/videoN. Ctrl-C ends a live input and finishes the file.

  --gallery GALLERY   who is known: made by `spherectl enrol --gallery GALLERY --id NAME IMAGE...`
  --output PATH       the recording without its ending, which the encoder decides
                      (default: ./recording); PATH.jsonl and PATH.vtt lie beside it
  --detect-model M    default: auto
  --embed-model M     default: auto
  --embeddings        put embeddings (biometric data) into the records, so that spherematch
                      and spherectl rematch can name the faces again
  --seconds N         stop a live input after N seconds
  --print             print the gst-launch-1.0 command and do not run it
  -h, --help          this text
USAGE
}

gallery='' output=recording embeddings=no detect_model=auto embed_model=auto seconds='' print_only=no
input=''
while (($#)); do
    case $1 in
    --gallery) gallery=${2:?"$1 needs a value"}; shift ;;
    --output) output=${2:?"$1 needs a value"}; shift ;;
    --embeddings) embeddings=yes ;;
    --detect-model) detect_model=${2:?"$1 needs a value"}; shift ;;
    --embed-model) embed_model=${2:?"$1 needs a value"}; shift ;;
    --seconds) seconds=${2:?"$1 needs a value"}; shift ;;
    --print) print_only=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) [[ -z $input ]] || die "one input only, not $input and $1"; input=$1 ;;
    esac
    shift
done
[[ -n $input ]] || { usage >&2; die "no input given"; }
[[ -n $gallery ]] || die "no gallery given. Make one: spherectl enrol --gallery people.db --id NAME PHOTO..."
[[ -z $seconds || $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds wants a whole number, not $seconds"

have python3 || die "python3 is not here: apt-get install python3"
need_plugin

examine_input "$input"
choose_output
annotated=$output.$container record=$output.jsonl
publish=(spherepublish "location=$record")
[[ $embeddings == no ]] || publish+=(embeddings=true)
road=(spheredetect "model=$detect_model" '!' spheretrack '!' spherealign
    '!' sphereembed "model=$embed_model" '!' spherematch "gallery=$gallery" '!' "${publish[@]}")

build_pipeline
if [[ $print_only == yes ]]; then
    print_pipeline
    exit 0
fi
run_pipeline
python3 "$root/pipelines/lib/webvtt.py" "$record" "$output.vtt"
printf '%s\n' "$output.vtt"
