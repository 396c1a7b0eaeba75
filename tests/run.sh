#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds and runs every test; the last line is "N passed, N failed, N skipped".
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../pipelines/lib/common.sh
source "$root/pipelines/lib/common.sh"
# shellcheck source=../pipelines/lib/packages.sh
source "$root/pipelines/lib/packages.sh"
# shellcheck source=../pipelines/lib/environment.sh
source "$root/pipelines/lib/environment.sh"

usage() {
    cat <<'USAGE'
usage: tests/run.sh [OPTION]... [-- MESON-SETUP-OPTION...]
Installs what the tests need (Debian), builds, runs the tests and prints each skip with its reason.

  -k TEXT          only tests whose name contains TEXT
  --suite NAME     only tests of the folder tests/NAME (core, conformance, gst, console,
                   cli, parity, training, system); may be repeated
  --compiled-only  leave out the tests that are scripts
  --build-dir DIR  where to build (default: build-tests)
  --no-install     do not install packages
  --no-fetch       do not fetch the models that the tests use
  -h, --help       this text

Large test data is found at $SPHERE_TEST_DATA or ../shared. Where it is present, a test that is
skipped for missing data counts as failed.
USAGE
}

build=$root/build-tests
install=yes
fetch=yes
filter=''
suites=()
compiled_only=no
setup_options=()
while (($#)); do
    case $1 in
    -k) filter=${2:?-k needs a text}; shift ;;
    --suite) suites+=("${2:?--suite needs a name}"); shift ;;
    --compiled-only) compiled_only=yes ;;
    --build-dir) build=$(realpath -m "${2:?--build-dir needs a directory}"); shift ;;
    --no-install) install=no ;;
    --no-fetch) fetch=no ;;
    -h | --help) usage; exit 0 ;;
    --) shift; setup_options=("$@"); break ;;
    *) usage >&2; die "unknown option: $1" ;;
    esac
    shift
done
cd "$root"

# Everything that a test or a tool would write below the user's home goes into the build directory.
use_private_directories() {
    mkdir -p "$build/xdg"/{data,cache,config,runtime}
    chmod 700 "$build/xdg/runtime"
    # npm's tarballs are large: those are kept between builds, in the user's own cache.
    export npm_config_cache=${SPHERE_NPM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gst-sphere/npm}
    export XDG_DATA_HOME=$build/xdg/data XDG_CACHE_HOME=$build/xdg/cache
    export XDG_CONFIG_HOME=$build/xdg/config XDG_RUNTIME_DIR=$build/xdg/runtime
    export GST_REGISTRY=$build/gst-registry.bin GST_PLUGIN_PATH=$build/gst
    export G_DEBUG=fatal-criticals
    if [[ -z ${SPHERE_TEST_DATA:-} && -d $root/../shared/data ]]; then
        SPHERE_TEST_DATA=$(cd "$root/../shared" && pwd)
        export SPHERE_TEST_DATA
    fi
}

configure() {
    if have ccache && [[ -z ${CXX:-} ]]; then
        export CC='ccache gcc' CXX='ccache g++'
    fi
    local -a again=()
    [[ -f $build/build.ninja ]] && again=(--reconfigure)
    run_quietly "$build/setup.log" \
        meson setup "${again[@]}" "$build" -Dtests=enabled "${setup_options[@]}"
}

# The names of the chosen tests, or with --programs what has to be built for them.
chosen_tests() {
    local -a select=(--build-dir "$build" "$@")
    [[ -n $filter ]] && select+=(--filter "$filter")
    [[ $compiled_only == yes ]] && select+=(--compiled-only)
    local suite
    for suite in "${suites[@]}"; do
        select+=(--suite "$suite")
    done
    /usr/bin/python3 "$root/tests/support/select_tests.py" "${select[@]}"
}

compile() {
    local -a targets=()
    if [[ $compiled_only == yes ]]; then
        mapfile -t targets < <(chosen_tests --programs)
        # Found at run time; the second only where the build has OpenCV.
        mapfile -t -O "${#targets[@]}" targets < <(ninja -C "$build" -t targets all |
            sed -nE 's,^(gst/libgstsphere\.so|core/libspherecore-opencv-[0-9.]+\.so): .*,\1,p')
    fi
    run_quietly "$build/compile.log" ninja -C "$build" -j "${SPHERE_JOBS:-$(nproc)}" "${targets[@]}"
}

# The models come from npm only here: no test depends on a download page. Without a network the
# tests that need them are skipped, or fail where ../shared says that this is a full run.
fetch_models() {
    local spherectl=$build/core/cli/spherectl
    if [[ ! -x $spherectl ]]; then
        note "no spherectl in this build: models are not fetched"
        return 0
    fi
    trust_system_certificates
    SPHERE_MODEL_PATH=$root/models run_quietly "$build/fetch.log" \
        "$spherectl" models fetch ultralight fr_feature fr_age fr_gender fr_expression fr_pose fr_eye fr_liveness ||
        note "models could not be fetched: tests that need them are skipped or fail below"
}

# GStreamer's scanner is a program of its own, without a sanitizer's runtime: such a build scans in the
# process, once, so that what other plugins do when they are looked at is not reported by every test.
scan_plugins() {
    local prober=$build/tests/gst/test_header_c
    [[ -x $prober ]] || return 0
    GST_REGISTRY_FORK=no ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=report_bugs=0 \
        "$prober" >"$build/scan.log" 2>&1 || note "the scan of plugins failed: see $build/scan.log"
}

run_tests() {
    local -a names
    mapfile -t names < <(chosen_tests)
    ((${#names[@]})) || die "no test matches; meson test -C $build --list shows their names"
    # A result file of an earlier run must not stand in for a test that crashes in this one.
    find "$build" -maxdepth 1 -name '*.xml' -delete
    rm -f "$build"/meson-logs/testlog.*
    meson test -C "$build" --no-rebuild --num-processes "${SPHERE_JOBS:-$(nproc)}" \
        --timeout-multiplier "${SPHERE_TIMEOUT_MULTIPLIER:-1}" "${names[@]}" </dev/null || true
}

use_private_directories
if [[ $install == yes ]]; then
    step "Packages"
    install_packages "$build/apt.log" pipelines/packages.txt tests/packages.txt
fi
step "Build in $build"
configure
compile
if [[ $fetch == yes ]]; then
    step "Models"
    fetch_models
fi
step "Tests"
[[ " ${setup_options[*]} " == *" -Db_sanitize="* ]] && scan_plugins
run_tests
/usr/bin/python3 "$root/tests/support/summarise_tests.py" --build-dir "$build" \
    ${SPHERE_TEST_DATA:+--data-present}
