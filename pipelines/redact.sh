#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A copy of a video in which faces cannot be recognised.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common environment input output run; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/redact.sh [OPTION]... INPUT

INPUT is a file, rtsp://HOST/PATH or /dev/videoN. Every frame is looked at; a face stays covered where
its track expects it. What no detector finds is not covered: look at the result before it leaves the house.

  --output PATH     the video without its ending, which the encoder decides (default: ./redacted)
  --who WHO         all, unknown, known, a list of ids (ada,bob), or all but a list (!ada,bob);
                    all but `all` need --gallery (default: all)
  --gallery G       who is known: made by `spherectl enrol`
  --method M        blur, pixelate, fill or image (default: pixelate)
  --image FILE.png  what is drawn over faces with --method image
  --detect-model M  default: auto
  --no-sound        leave the input's sound out
  --seconds N       stop a live input after N seconds
  --print           print the gst-launch-1.0 command and do not run it
  -h, --help        this text
USAGE
}

output=redacted who=all gallery='' method=pixelate image='' detect_model=auto sound=yes seconds=''
print_only=no input=''
while (($#)); do
    case $1 in
    --output) output=${2:?"$1 needs a value"}; shift ;;
    --who) who=${2:?"$1 needs a value"}; shift ;;
    --gallery) gallery=${2:?"$1 needs a value"}; shift ;;
    --method) method=${2:?"$1 needs a value"}; shift ;;
    --image) image=${2:?"$1 needs a value"}; shift ;;
    --detect-model) detect_model=${2:?"$1 needs a value"}; shift ;;
    --no-sound) sound=no ;;
    --seconds) seconds=${2:?"$1 needs a value"}; shift ;;
    --print) print_only=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) [[ -z $input ]] || die "one input only, not $input and $1"; input=$1 ;;
    esac
    shift
done
[[ -n $input ]] || { usage >&2; die "no input given"; }
case $method in
blur | pixelate | fill) [[ -z $image ]] || die "--image goes with --method image, not $method" ;;
image) [[ -n $image ]] || die "--method image needs --image FILE.png" ;;
*) die "--method wants blur, pixelate, fill or image, not $method" ;;
esac
[[ $who == all || -n $gallery ]] ||
    die "--who $who needs to know people: give --gallery (spherectl enrol makes one)"
[[ -z $seconds || $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds wants a whole number, not $seconds"

need_plugin
examine_input "$input"
[[ $sound == yes ]] || input_audio=''
choose_output
# Read by run.sh.
# shellcheck disable=SC2034
annotated=$output.$container record=''

road=(spheredetect "model=$detect_model" '!' spheretrack)
[[ -z $gallery ]] || road+=('!' spherealign '!' sphereembed '!' spherematch "gallery=$gallery")
road+=('!' sphereredact "who=$who" "method=$method" ${image:+"image=$image"})
build_pipeline
if [[ $print_only == yes ]]; then
    print_pipeline
    exit 0
fi
run_pipeline
