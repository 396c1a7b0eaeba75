# SPDX-License-Identifier: MIT
# The pipeline itself, and its run. Sourced by annotate.sh, record.sh and redact.sh, whose variables it reads: input,
# road, annotated (the video to write), record (of its frames; may be empty), output (for the log), seconds.
# shellcheck disable=SC2154

# Formats that the elements read as they are (docs/elements.md); for others, and where it is not known,
# a videoconvert goes in front, which does nothing if there is nothing to convert.
readonly native_formats=' yuv420p yuvj420p nv12 yuyv422 gray bgr24 rgb24 bgr0 rgb0 bgra rgba '

# Fills decoded (an array of gst-launch words): from the input to its pictures, ready for our elements.
build_source() {
    local -a source decoder=(decodebin name=decoder) queue=(queue)
    # Only what the muxer can carry as it is stays encoded.
    [[ -z ${audio_caps:-} ]] || decoder+=("caps=video/x-raw;$audio_caps")
    case $input_kind in
    file) source=(filesrc "location=$input") ;;
    camera) source=(v4l2src "device=$input") ;;
    rtsp) source=(rtspsrc "location=$input" latency=200 name=source) ;;
    esac
    # A live source does not wait: what cannot be kept up with is dropped before it costs anything.
    [[ $input_live == no ]] || queue=(queue max-size-buffers=4 leaky=downstream)

    local -a before=()
    [[ $input_rotation == 0 ]] || before+=('!' videoflip video-direction=auto)
    [[ -n $input_format && $native_formats == *" $input_format "* ]] || before+=('!' videoconvert)

    decoded=("${source[@]}")
    if [[ $input_kind == rtsp ]]; then
        decoded+=(source. '!' application/x-rtp,media=video)
    fi
    decoded+=('!' "${decoder[@]}" decoder. '!' video/x-raw '!' "${queue[@]}" "${before[@]}")
}

# Fills pipeline (an array of gst-launch words): the input's pictures through road, an array of our
# elements, into a file with the input's sound.
build_pipeline() {
    build_source
    pipeline=("${decoded[@]}" '!' "${road[@]}"
        '!' videoconvert '!' "${video_encoder[@]}" "${clock[@]}" '!' queue '!' mux.video_0
        "${muxer[@]}" '!' filesink "location=$annotated")
    ((${#audio_branch[@]} == 0)) || add_audio
}

# The audio queue has no limit: it waits for as long as the encoder looks ahead, and the demuxer, which
# is held up by the video, bounds it.
add_audio() {
    local -a queue=(queue max-size-buffers=0 max-size-bytes=0 max-size-time=0)
    if [[ $input_kind == rtsp ]]; then
        pipeline+=(source. '!' application/x-rtp,media=audio '!' decodebin name=sound
            ${audio_caps:+"caps=$audio_caps"} sound.)
    else
        pipeline+=(decoder. '!' "${audio_caps:-audio/x-raw}")
    fi
    pipeline+=('!' "${queue[@]}" '!' "${audio_branch[@]}" '!' mux.)
}

# print_pipeline: the command in place of its run.
print_pipeline() {
    printf '%q ' gst-launch-1.0 -e "${pipeline[@]}"
    echo
}

# Shows how many frames are done, on a terminal only.
show_progress() {
    local of=''
    ((input_frames == 0)) || of=" of $input_frames"
    while sleep 1; do
        printf '\r    %d%s frames ' "$(wc -l <"$record" 2>/dev/null || echo 0)" "$of" >&2
    done
}

# Runs the pipeline until its end, or until a signal, which ends the stream in order: the file is
# finished and playable. gst-launch has a process group of its own, so that Ctrl-C reaches it once.
run_pipeline() {
    local log=$output.log status=0 child progress='' timer='' interrupted
    mkdir -p "$(dirname "$annotated")" "$(dirname "${record:-$annotated}")"
    rm -f "$annotated" "${record:-$annotated}"
    setsid gst-launch-1.0 -e "${pipeline[@]}" >"$log" 2>&1 </dev/null &
    child=$!
    trap 'interrupted=yes; kill -INT "$child" 2>/dev/null || true' INT TERM HUP
    if [[ -t 2 && -n $record ]]; then
        show_progress &
        progress=$!
    fi
    if [[ -n $seconds && $input_live == yes ]]; then
        (sleep "$seconds" && kill -INT "$child" 2>/dev/null) &
        timer=$!
    fi
    # A signal ends wait before the child ends: then the status is not the child's.
    while true; do
        interrupted=no
        wait "$child" && status=0 || status=$?
        [[ $interrupted == yes ]] || break
    done
    [[ -z $progress ]] || { kill "$progress" 2>/dev/null || true; printf '\n' >&2; }
    [[ -z $timer ]] || kill "$timer" 2>/dev/null || true
    trap - INT TERM HUP
    if ((status != 0)) || grep -q '^ERROR' "$log"; then
        grep -E -A 4 '^(ERROR|WARNING)' "$log" >&2 || tail -n 20 "$log" >&2
        die "the pipeline failed; its output is in $log"
    fi
    printf '%s\n' "$annotated" ${record:+"$record"}
}
