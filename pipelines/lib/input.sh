# SPDX-License-Identifier: MIT
# What an input is and what it holds. Sourced; needs common.sh. Sets input_* variables.

# examine_input INPUT: fills
#   input_kind   file, rtsp or camera
#   input_live   yes or no
#   input_width, input_height, input_rate and
#   input_average_rate (fractions such as 25/1), input_format (ffmpeg's name)
#   input_audio  codec of the first audio stream, or empty
#   input_rotation  degrees that a player would turn the picture by
#   input_frames    as the container says, 0 where it does not
examine_input() {
    local input=$1
    input_width=0 input_height=0 input_rate=0/0 input_average_rate=0/0 input_format='' input_audio='' input_rotation=0
    input_frames=0
    case $input in
    rtsp://* | rtsps://*)
        input_kind=rtsp input_live=yes
        probe_streams -rtsp_transport tcp -timeout 10000000 "$input" ||
            die "no answer from $input: is the server running, are user and password right?"
        ;;
    /dev/video*)
        input_kind=camera input_live=yes
        [[ -c $input ]] || die "there is no camera $input; $(cameras)"
        [[ -r $input ]] || die "no permission to read $input: add yourself to the group 'video'"
        ;;
    *://*)
        die "cannot play $input: give a file, rtsp://HOST/PATH or /dev/videoN"
        ;;
    *)
        input_kind=file input_live=no
        [[ -e $input ]] || die "there is no file $input"
        [[ -f $input && -r $input ]] || die "cannot read $input as a file"
        probe_streams "$input" ||
            die "$input is not a media file that ffprobe can read (is it cut off at its end?)"
        ((input_width > 0)) || die "$input holds no video"
        ;;
    esac
}

cameras() {
    local found
    found=$(compgen -G '/dev/video*' | tr '\n' ' ') || true
    echo "cameras here: ${found:-none}"
}

# probe_streams FFPROBE-ARGUMENT...: false if it cannot be read.
probe_streams() {
    local key value
    local text
    text=$(timeout 30 ffprobe -v error -select_streams v:0 -of default=noprint_wrappers=1 \
        -show_entries 'stream=width,height,r_frame_rate,avg_frame_rate,pix_fmt,nb_frames:stream_side_data=rotation' \
        "$@" 2>/dev/null </dev/null) || return 1
    while IFS='=' read -r key value; do
        case $key in
        width) input_width=$value ;;
        height) input_height=$value ;;
        r_frame_rate) input_rate=$value ;;
        avg_frame_rate) input_average_rate=$value ;;
        pix_fmt) input_format=$value ;;
        nb_frames) [[ $value == N/A ]] || input_frames=$value ;;
        rotation) input_rotation=$value ;;
        esac
    done <<<"$text"
    input_audio=$(timeout 30 ffprobe -v error -select_streams a:0 -of default=noprint_wrappers=1:nokey=1 \
        -show_entries stream=codec_name "$@" 2>/dev/null </dev/null | head -n 1)
}
