#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A camera or a file with names drawn in, as HLS or RTSP for any player.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common environment input output run; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/restream.sh (--hls FOLDER | --rtsp PORT) [OPTION]... INPUT

INPUT is rtsp://HOST/PATH, /dev/videoN or a file, which is played at its own speed, once. Ctrl-C ends it.

  --hls FOLDER      writes FOLDER/live.m3u8 and segments of two seconds, the last six; any web server
                    can hand the folder out, for instance: python3 -m http.server --bind 127.0.0.1 -d FOLDER
  --rtsp PORT       serves rtsp://127.0.0.1:PORT/live, to this machine alone unless --address says otherwise
  --address A       the address that --rtsp listens at (default: 127.0.0.1). There is no password:
                    with another address everybody who reaches it sees the stream
  --gallery G       who is known: made by `spherectl enrol`; without it faces get boxes alone
  --detect-model M  default: auto
  --embed-model M   default: auto
  --redact WHO      covers faces in place of drawing: all, unknown, known, or ids (see redact.sh)
  --print           print the gst-launch-1.0 command (with --rtsp: the server's pipeline)
  -h, --help        this text
USAGE
}

hls='' port='' address=127.0.0.1 gallery='' redact='' detect_model=auto embed_model=auto print_only=no input=''
while (($#)); do
    case $1 in
    --hls) hls=${2:?"$1 needs a value"}; shift ;;
    --rtsp) port=${2:?"$1 needs a value"}; shift ;;
    --address) address=${2:?"$1 needs a value"}; shift ;;
    --gallery) gallery=${2:?"$1 needs a value"}; shift ;;
    --detect-model) detect_model=${2:?"$1 needs a value"}; shift ;;
    --embed-model) embed_model=${2:?"$1 needs a value"}; shift ;;
    --redact) redact=${2:?"$1 needs a value"}; shift ;;
    --print) print_only=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) [[ -z $input ]] || die "one input only, not $input and $1"; input=$1 ;;
    esac
    shift
done
[[ -n $input ]] || { usage >&2; die "no input given"; }
[[ -n $hls || -n $port ]] || die "say where to: --hls FOLDER or --rtsp PORT"
[[ -z $hls || -z $port ]] || die "one of --hls and --rtsp"
[[ -z $port || ($port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535) ]] || die "--rtsp wants a port, not $port"
[[ -z $redact || $redact == all || -n $gallery ]] || die "--redact $redact needs --gallery"

need_plugin
element_exists x264enc || die "HLS and RTSP need H.264: apt-get install gstreamer1.0-plugins-ugly"
examine_input "$input"
build_source

# Without a gallery faces are found and tracked, and nobody is named.
if [[ -n $gallery ]]; then
    road=(spherebin "gallery=$gallery" "detect-model=$detect_model" "embed-model=$embed_model")
else
    road=(spheredetect "model=$detect_model" inference-interval=0 '!' spheretrack)
fi
if [[ -n $redact ]]; then
    road+=('!' sphereredact "who=$redact" method=pixelate)
else
    road+=('!' sphereoverlay)
fi
# A file is played at its own speed: the clock that a camera brings.
[[ $input_live == yes ]] || road+=('!' identity sync=true)
# shellcheck disable=SC2154
stream=("${decoded[@]}" '!' "${road[@]}" '!' queue max-size-buffers=2 '!' videoconvert
    '!' video/x-raw,format=I420 '!' x264enc tune=zerolatency speed-preset=veryfast bitrate=3000 key-int-max=50
    '!' h264parse)

if [[ -n $hls ]]; then
    mkdir -p "$hls"
    element_exists hlssink2 || die "hlssink2 is not here: apt-get install gstreamer1.0-plugins-bad"
    pipeline=("${stream[@]}" '!' hlssink2 target-duration=2 playlist-length=6 max-files=8
        "location=$hls/part%05d.ts" "playlist-location=$hls/live.m3u8")
    if [[ $print_only == yes ]]; then
        print_pipeline
        exit 0
    fi
    note "writing $hls/live.m3u8"
    exec gst-launch-1.0 -q -e "${pipeline[@]}"
fi

stream+=('!' rtph264pay name=pay0 pt=96 config-interval=1)
if [[ $print_only == yes ]]; then
    printf '%q ' "${stream[@]}"
    echo
    exit 0
fi
exec /usr/bin/python3 "$root/pipelines/lib/rtsp_server.py" "$address" "$port" "${stream[@]}"
