# SPDX-License-Identifier: MIT
# The demo's own input: photographs from an npm package, people to enrol, a moving video. Sourced;
# needs common.sh.

readonly sample_package='@vladmandic/face-api@1.7.15' # MIT

# sha256 of each photograph, in the format of sha256sum.
sample_sums() {
    cat <<'SUMS'
8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51  sample1.jpg
7d2b60ae6f13bf30f422e04df87451081a02c83de469056f25afb44b7000c691  sample2.jpg
8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936  sample3.jpg
729efa5923061d40eb4ed5f267a18cc7b8ba6f852bb2757b16d8b7e4937476fc  sample4.jpg
6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938  sample5.jpg
9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87  sample6.jpg
SUMS
}

# Who is enrolled: name, photograph, and a square x, y, side (px) around the head. The photographs
# hold 22 people; the others stay unknown.
sample_people() {
    cat <<'PEOPLE'
person-1 sample1.jpg 330 300 360
person-2 sample3.jpg 520 290 340
person-3 sample3.jpg 1020 180 360
person-4 sample3.jpg 1420 260 340
person-5 sample4.jpg 900 120 360
person-6 sample5.jpg 1330 370 330
person-7 sample6.jpg 600 300 350
person-8 sample6.jpg 1420 240 350
PEOPLE
}

# The scenes of the video: photograph, upper edge (px) of a picture of 16:9 in it, zoom from and to,
# and the camera's place from and to, each as x y in 0..1 of the room that the zoom leaves.
sample_scenes() {
    cat <<'SCENES'
sample1.jpg 60  1.0 1.5  0.5 0.2  0.9 0.2
sample3.jpg 60  1.6 1.6  0.2 0.3  0.9 0.3
sample4.jpg 0   1.5 1.0  0.2 0.1  0.5 0.0
sample2.jpg 0   1.0 1.4  0.0 0.0  0.9 0.1
sample5.jpg 110 1.0 1.3  0.5 0.9  0.6 0.0
sample6.jpg 100 1.7 1.1  0.9 0.3  0.1 0.3
SCENES
}

# fetch_photographs DIR: sample1.jpg to sample6.jpg in DIR, verified.
fetch_photographs() {
    local dir=$1 work
    mkdir -p "$dir"
    if (cd "$dir" && sample_sums | sha256sum --check --status 2>/dev/null); then
        note "the photographs are here already: $dir"
        return 0
    fi
    have npm || die "npm is not here and the demo's photographs come from it: apt-get install npm,
    or give your own input: pipelines/demo.sh INPUT GALLERY_DIR"
    work=$(mktemp -d)
    if ! (cd "$work" && npm pack --silent "$sample_package" >/dev/null 2>"$work/npm.log" </dev/null); then
        tail -n 5 "$work/npm.log" >&2
        rm -rf "$work"
        die "npm could not fetch $sample_package: is there a network?
    Without one, give your own input: pipelines/demo.sh INPUT GALLERY_DIR"
    fi
    tar -xzf "$work"/*.tgz -C "$work" --no-same-owner
    cp "$work"/package/demo/sample[1-6].jpg "$dir"
    rm -rf "$work"
    (cd "$dir" && sample_sums | sha256sum --check --quiet) ||
        die "the photographs in $sample_package are not the ones this script knows; nothing was used"
}

# make_people PHOTOS DIR: one folder a person. The pictures are mirrored, brightened, scaled and
# compressed again, so that no enrolled face is pixel for pixel a face of the video.
make_people() {
    local photos=$1 dir=$2 name photo x y side
    rm -rf "$dir"
    while read -r name photo x y side; do
        mkdir -p "$dir/$name"
        ffmpeg -v error -nostdin -y -i "$photos/$photo" \
            -vf "crop=$side:$side:$x:$y,hflip,eq=gamma=1.15:saturation=0.9,scale=280:280" \
            -frames:v 1 -q:v 5 "$dir/$name/photo.jpg"
    done < <(sample_people)
}

# one_scene INDEX FRAMES TOP Z0 Z1 X0 Y0 X1 Y1: the filter of one scene. zoompan places its window at
# whole pixels of its input, so that is enlarged first for a smooth motion.
one_scene() {
    local index=$1 frames=$2 top=$3 z0=$4 z1=$5 x0=$6 y0=$7 x1=$8 y1=$9
    local t="(on/$((frames - 1)))"
    printf '[%d:v]crop=1920:1080:0:%d,scale=3840:2160,' "$index" "$top"
    printf "zoompan=z='%s+(%s-%s)*%s':x='(iw-iw/zoom)*(%s+(%s-%s)*%s)':y='(ih-ih/zoom)*(%s+(%s-%s)*%s)'" \
        "$z0" "$z1" "$z0" "$t" "$x0" "$x1" "$x0" "$t" "$y0" "$y1" "$y0" "$t"
    printf ':d=%d:s=1280x720:fps=25,setsar=1[s%d];' "$frames" "$index"
}

# make_video PHOTOS FILE: 24 s of 1280x720 at 25 frames/s, H.264, with a quiet tone as sound.
make_video() {
    local photos=$1 file=$2 frames=100 index=0 filters='' joints=''
    local -a inputs=()
    local photo top z0 z1 x0 y0 x1 y1
    while read -r photo top z0 z1 x0 y0 x1 y1; do
        inputs+=(-i "$photos/$photo")
        filters+=$(one_scene "$index" "$frames" "$top" "$z0" "$z1" "$x0" "$y0" "$x1" "$y1")
        joints+="[s$index]"
        index=$((index + 1))
    done < <(sample_scenes)
    filters+="${joints}concat=n=$index:v=1,format=yuv420p[v]"
    ffmpeg -v error -nostdin -y "${inputs[@]}" \
        -f lavfi -i "sine=frequency=220:sample_rate=48000:duration=$((index * frames / 25)),volume=0.05" \
        -filter_complex "$filters" -map '[v]' -map "$index:a" \
        -c:v libx264 -preset veryfast -crf 18 -c:a aac -b:a 64k \
        -movflags +faststart "$file.part.mp4"
    mv "$file.part.mp4" "$file"
}
