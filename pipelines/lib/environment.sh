# SPDX-License-Identifier: MIT
# Makes the programs and the plugin of a build directory usable without installing. Sourced.

# use_build BUILD ROOT
use_build() {
    local build=$1 root=$2
    export PATH=$build/core/cli:$PATH
    export LD_LIBRARY_PATH=$build/core:$build/gst/meta${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export GST_PLUGIN_PATH=$build/gst${GST_PLUGIN_PATH:+:$GST_PLUGIN_PATH}
    # A registry of its own: the user's does not learn of a plugin that a later build replaces.
    export GST_REGISTRY=$build/gst-registry.bin
    export SPHERE_MODEL_PATH=${SPHERE_MODEL_PATH:+$SPHERE_MODEL_PATH:}$root/models
}

# npm trusts a list of authorities of its own; on a network with one of its own, the system knows
# better. Harmless elsewhere.
trust_system_certificates() {
    local bundle=/etc/ssl/certs/ca-certificates.crt
    if [[ -z ${NODE_EXTRA_CA_CERTS:-} && -r $bundle ]]; then
        export NODE_EXTRA_CA_CERTS=$bundle
    fi
}

# need_plugin [ELEMENT]: ends the script where what it runs is not here. Needs common.sh, output.sh and root.
need_plugin() {
    local element=${1:-spheredetect}
    have ffprobe || die "ffprobe is not here: apt-get install ffmpeg"
    have gst-launch-1.0 || die "gst-launch-1.0 is not here: apt-get install gstreamer1.0-tools"
    # shellcheck disable=SC2154
    if ! element_exists "$element" && [[ -e $root/build-demo/gst/libgstsphere.so ]]; then
        use_build "$root/build-demo" "$root"
    fi
    element_exists "$element" || die "GStreamer does not find $element.
    Build it (pipelines/demo.sh does), or run this inside: meson devenv -C BUILD"
}
