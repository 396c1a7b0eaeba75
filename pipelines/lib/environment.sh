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
