#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plays a recording with its faces: boxes and names from the record beside it, no model and no gallery.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common environment input output; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/playback.sh [OPTION]... RECORDING

RECORDING is a video that pipelines/record.sh made; its record has the same name with .jsonl.

  --sidecar FILE   the record, if it lies elsewhere
  --output FILE    write a video with the boxes (without sound) in place of showing it
  --offset MS      added to a frame's time before its record is looked up
  -h, --help       this text
USAGE
}

recording='' sidecar='' output='' offset=0
while (($#)); do
    case $1 in
    --sidecar) sidecar=${2:?"$1 needs a value"}; shift ;;
    --output) output=${2:?"$1 needs a value"}; shift ;;
    --offset) offset=${2:?"$1 needs a value"}; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) [[ -z $recording ]] || die "one recording only, not $recording and $1"; recording=$1 ;;
    esac
    shift
done
[[ -n $recording ]] || { usage >&2; die "no recording given"; }
[[ -r $recording ]] || die "$recording cannot be read"
sidecar=${sidecar:-${recording%.*}.jsonl}
[[ -r $sidecar ]] || die "$sidecar cannot be read. Name the record with --sidecar"
[[ $offset =~ ^-?[0-9]+$ ]] || die "--offset wants a whole number of ms, not $offset"
need_plugin spheresidecar

examine_input "$recording"
pipeline=(filesrc "location=$recording" '!' decodebin name=decoder
    decoder. '!' video/x-raw '!' queue '!' videoconvert
    '!' spheresidecar "location=$sidecar" "offset=$offset" '!' sphereoverlay '!' videoconvert)
if [[ -z $output ]]; then
    pipeline+=('!' autovideosink)
    [[ -z $input_audio ]] || pipeline+=(decoder. '!' audio/x-raw '!' queue '!' audioconvert
        '!' audioresample '!' autoaudiosink)
    exec gst-launch-1.0 "${pipeline[@]}"
fi
choose_encoder "$input_width" "$input_height" no
choose_muxer
[[ $output == *.$container ]] || die "--output: the encoder here makes .$container files"
pipeline+=('!' "${video_encoder[@]}" '!' queue '!' "${muxer[@]}" '!' filesink "location=$output")
run_quietly "$output.log" gst-launch-1.0 -q "${pipeline[@]}"
printf '%s\n' "$output"
