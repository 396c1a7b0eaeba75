# SPDX-License-Identifier: MIT
# Encoder, audio and container of the annotated file. Sourced; needs common.sh and input.sh.

# gst-inspect compares with its own version unless told otherwise, and ours is lower.
element_exists() { gst-inspect-1.0 --exists --atleast-version=0.0 "$1" 2>/dev/null; }

# choose_encoder WIDTH HEIGHT LIVE: fills video_encoder (an array of gst-launch words) and
# container (mp4 or mkv). H.264 where there is an encoder for it, else VP9.
choose_encoder() {
    local width=$1 height=$2 live=$3
    container=mp4
    # 4:2:0 H.264 has even sizes only; VP9 takes any.
    if ((width % 2 == 0 && height % 2 == 0)); then
        if element_exists x264enc; then
            # No B-frames: decode order is display order and the file needs no edit list for them.
            video_encoder=(x264enc bframes=0 pass=qual quantizer=21 speed-preset=veryfast
                key-int-max=50)
            [[ $live == yes ]] && video_encoder+=(tune=zerolatency)
            video_encoder+=('!' h264parse)
            return 0
        elif element_exists openh264enc; then
            video_encoder=(openh264enc bitrate=4000000 complexity=low gop-size=50 '!' h264parse)
            return 0
        fi
    fi
    container=mkv
    element_exists vp9enc || die "no H.264 or VP9 encoder here.
    Install one: apt-get install gstreamer1.0-plugins-ugly (x264enc) or gstreamer1.0-plugins-good (vp9enc)"
    # No look-ahead: VP9's hidden frames would confuse who counts packets.
    video_encoder=(vp9enc deadline=1 cpu-used=8 lag-in-frames=0 row-mt=true end-usage=cq
        cq-level=24 target-bitrate=8000000 keyframe-max-dist=50)
}

# choose_muxer: fills muxer (an array of gst-launch words, named mux).
choose_muxer() {
    muxer=(mp4mux name=mux)
    [[ $container == mp4 ]] || muxer=(matroskamux name=mux)
}

# choose_clock RATE AVERAGE: fills clock, words between parser and muxer. mp4mux counts in hundredths
# of a rate N/1 or N/1001, but rounds any other, such as 179/6, so that frames would last unequal
# numbers of ticks. Told N/1, it counts N hundred ticks a second, and each frame is a whole number of
# them. Only the muxer sees this; no frame is added, dropped or moved.
choose_clock() {
    clock=()
    local numerator=${1%/*} denominator=${1#*/}
    [[ $container == mp4 && $1 == "$2" && $1 =~ ^[1-9][0-9]{0,5}/[1-9][0-9]*$ ]] || return 0
    [[ $denominator != 1 && $denominator != 1001 ]] || return 0
    element_exists capssetter || return 0
    clock=('!' capssetter "caps=video/x-h264,framerate=$numerator/1")
}

# choose_audio CODEC: fills audio_caps (what decodebin need not decode) and audio_branch (words from
# the audio pad to the muxer). AAC and, in Matroska, Opus are copied; all else is encoded again.
choose_audio() {
    audio_caps='' audio_branch=()
    case $1/$container in
    '/'*) return 0 ;;
    aac/*)
        audio_caps='audio/mpeg,mpegversion=4'
        audio_branch=(aacparse)
        return 0
        ;;
    opus/mkv)
        audio_caps=audio/x-opus
        audio_branch=(opusparse)
        return 0
        ;;
    esac
    audio_branch=(audioconvert '!' audioresample '!')
    if [[ $container == mkv ]] && element_exists opusenc; then
        audio_branch+=(opusenc)
    elif element_exists avenc_aac; then
        audio_branch+=(avenc_aac '!' aacparse)
    elif element_exists voaacenc; then
        audio_branch+=(voaacenc '!' aacparse)
    else
        die "the input has sound and there is no AAC encoder: apt-get install gstreamer1.0-libav"
    fi
}

# choose_output: how the input at hand (examine_input) becomes a file.
choose_output() {
    # shellcheck disable=SC2154
    choose_encoder "$input_width" "$input_height" "$input_live"
    choose_muxer
    # shellcheck disable=SC2154
    choose_clock "$input_rate" "$input_average_rate"
    # shellcheck disable=SC2154
    choose_audio "$input_audio"
}
