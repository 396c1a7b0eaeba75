# SPDX-License-Identifier: MIT
# Messages and small tests that every script of the project shares. Sourced, not run.

if [[ -t 2 ]]; then
    _bold=$'\e[1m' _red=$'\e[31m' _plain=$'\e[0m'
else
    _bold='' _red='' _plain=''
fi

# step TEXT...: what happens next.
step() { printf '%s==> %s%s\n' "$_bold" "$*" "$_plain" >&2; }

# note TEXT...: a detail of the step.
note() { printf '    %s\n' "$*" >&2; }

# die TEXT...: an error that says its remedy; ends the script with 2 (bad use or bad input).
die() {
    printf '%serror:%s %s\n' "$_red" "$_plain" "$*" >&2
    exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

# run_quietly LOG COMMAND...: output goes to LOG; on failure its end is shown.
run_quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 </dev/null && return 0
    local status=$?
    tail -n 40 "$log" >&2
    printf '%serror:%s "%s" failed (%d); the whole output is in %s\n' \
        "$_red" "$_plain" "$*" "$status" "$log" >&2
    return "$status"
}
