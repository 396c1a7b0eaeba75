#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One pipeline from a file, an RTSP camera or a V4L2 camera to an annotated video and a record.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common environment input output run; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/annotate.sh --gallery GALLERY [OPTION]... INPUT

INPUT is a file, rtsp://HOST/PATH or /dev/videoN. Ctrl-C ends a live input and finishes the file.

  --gallery GALLERY   who is known: made by `spherectl enrol --gallery GALLERY --id NAME IMAGE...`
  --output PATH       annotated video without its ending, which the encoder decides
                      (default: ./annotated)
  --record PATH       one line of JSON a frame (default: the output's name with .jsonl)
  --detect-model M    default: auto
  --embed-model M     default: auto
  --seconds N         stop a live input after N seconds
  --print             print the gst-launch-1.0 command and do not run it
  -h, --help          this text
USAGE
}

gallery='' output=annotated record='' detect_model=auto embed_model=auto seconds='' print_only=no
input=''
while (($#)); do
    case $1 in
    --gallery) gallery=${2:?"$1 needs a value"}; shift ;;
    --output) output=${2:?"$1 needs a value"}; shift ;;
    --record) record=${2:?"$1 needs a value"}; shift ;;
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

need_plugin

examine_input "$input"
choose_output
annotated=$output.$container
record=${record:-$output.jsonl}

road=(spheredetect "model=$detect_model" '!' spherealign '!' sphereembed "model=$embed_model"
    '!' spherematch "gallery=$gallery" '!' spherepublish "location=$record" '!' sphereoverlay)
build_pipeline
if [[ $print_only == yes ]]; then
    print_pipeline
    exit 0
fi
run_pipeline
