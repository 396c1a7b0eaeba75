#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# From a fresh Debian 12 to an annotated video: installs, builds, fetches models, enrols, recognises.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for part in common packages environment sample; do
    # shellcheck source=/dev/null
    source "$root/pipelines/lib/$part.sh"
done

usage() {
    cat <<'USAGE'
usage: pipelines/demo.sh [--seconds N] [INPUT [GALLERY_DIR]]

INPUT        a file, rtsp://HOST/PATH or /dev/videoN. Without one, the demo makes a video from public
             photographs. Ctrl-C ends a live input and finishes the file.
GALLERY_DIR  who is known: a folder with a folder of photographs for each person, named as the person
             shall be called. Without one, some of the people in the demo's photographs.
--seconds N  stop a live input after N seconds

It installs the Debian packages that are missing (as root or by sudo), builds into build-demo, fetches
the default models, and writes into ./demo-out, or $SPHERE_DEMO_OUT: the annotated video and a record
with one line of JSON a frame.
USAGE
}

seconds=()
arguments=()
while (($#)); do
    case $1 in
    -h | --help) usage; exit 0 ;;
    --seconds) seconds=(--seconds "${2:?--seconds needs a number}"); shift ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
((${#arguments[@]} <= 2)) || { usage >&2; die "too many arguments"; }
input=${arguments[0]:-}
gallery_dir=${arguments[1]:-}
build=$root/build-demo
out=${SPHERE_DEMO_OUT:-$PWD/demo-out}
gallery=$out/people.db

check_arguments() {
    [[ $input != *://* && $input != /dev/video* && -n $input && ! -e $input ]] &&
        die "there is no file $input"
    [[ -z $gallery_dir || -d $gallery_dir ]] ||
        die "there is no folder $gallery_dir: it should hold a folder of photographs for each person"
    mkdir -p "$out" || die "cannot write to $out: set SPHERE_DEMO_OUT to a folder of yours"
}

build_project() {
    if [[ ! -f $build/build.ninja ]]; then
        run_quietly "$out/setup.log" meson setup "$build" "$root" --buildtype=release \
            -Dtests=disabled -Dintrospection=disabled
    fi
    run_quietly "$out/build.log" ninja -C "$build"
}

# The recogniser must be there. The better detector comes from a download page, which may be out of
# reach; the other comes with the recogniser's npm package.
fetch_models() {
    run_quietly "$out/fetch.log" spherectl models fetch fr_feature ||
        die "the recogniser fr_feature could not be fetched: it comes by npm; is there a network?"
    if run_quietly "$out/fetch-yunet.log" timeout 300 spherectl models fetch yunet-640 2>/dev/null; then
        detect_model=yunet-640
        note "recogniser fr_feature, detector yunet-640"
        return 0
    fi
    note "the detector yunet-640 could not be downloaded (see $out/fetch-yunet.log)"
    note "falling back to the detector of the npm package, ultralight, which finds fewer faces"
    run_quietly "$out/fetch.log" spherectl models fetch ultralight ||
        die "the detector ultralight could not be fetched either; is there a network?"
    detect_model=ultralight
}

# Exit status 2 of enrol: some photograph had no face; the others are in.
enrol_people() {
    local status=0
    rm -f "$gallery" "$gallery"-wal "$gallery"-shm
    spherectl enrol --gallery "$gallery" --detector "$detect_model" --model fr_feature "$1" \
        >"$out/enrol.log" 2>&1 </dev/null || status=$?
    sed 's/^/    /' "$out/enrol.log" >&2
    ((status == 0 || (status == 2))) && [[ -s $gallery ]] ||
        die "nobody could be enrolled from $1; see $out/enrol.log"
}

report() {
    local annotated=$1 record=$2 seconds_taken=$3
    echo
    python3 "$root/pipelines/lib/summary.py" "$record" "$seconds_taken"
    echo "video    $annotated ($(ffprobe -v error -select_streams v:0 -count_packets \
        -show_entries stream=nb_read_packets -of csv=p=0 "$annotated") frames)"
    echo "record   $record"
    echo "gallery  $gallery"
}

check_arguments
step "Packages"
install_packages "$out/apt.log" "$root/pipelines/packages.txt"
step "Build"
build_project
use_build "$build" "$root"
step "Models"
trust_system_certificates
detect_model=auto
fetch_models
if [[ -z $input || -z $gallery_dir ]]; then
    step "Photographs"
    fetch_photographs "$out/photographs"
    make_people "$out/photographs" "$out/people"
fi
if [[ -z $input ]]; then
    step "A video made from the photographs"
    [[ -s $out/sample.mp4 ]] || make_video "$out/photographs" "$out/sample.mp4"
    input=$out/sample.mp4
fi
step "Enrol"
enrol_people "${gallery_dir:-$out/people}"
step "Recognise"
name=$(basename "${input%%\?*}")
began=$(date +%s.%N)
"$root/pipelines/annotate.sh" --gallery "$gallery" --detect-model "$detect_model" \
    --embed-model fr_feature --output "$out/${name%.*}-annotated" "${seconds[@]}" "$input" \
    >"$out/annotate.txt"
ended=$(date +%s.%N)
mapfile -t results <"$out/annotate.txt"
report "${results[0]}" "${results[1]}" "$(awk "BEGIN {print $ended - $began}")"
