# SPDX-License-Identifier: MIT
# Installs Debian packages that are missing, and only those. Sourced, not run; needs common.sh.

# listed_packages FILE...: the packages of the lists that are not here yet, one a line. A line of a
# list is PACKAGE, or COMMAND:PACKAGE for a package that is wanted only where COMMAND is not found.
missing_packages() {
    local line package
    while read -r line; do
        line=${line%%#*}
        line=${line//[[:space:]]/}
        [[ -n $line ]] || continue
        package=${line##*:}
        if [[ $line == *:* ]] && have "${line%%:*}"; then
            continue
        fi
        if [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) != 'install ok installed' ]]; then
            printf '%s\n' "$package"
        fi
    done < <(cat "$@") | sort -u
}

# as_root COMMAND...: directly, or by sudo.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        return 1
    fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@"
}

# install_packages LOG FILE...: nothing is asked, nothing that is installed is touched.
install_packages() {
    local log=$1
    shift
    if ! have dpkg-query || ! have apt-get; then
        note "no apt-get here: install what these Debian packages stand for yourself:"
        note "$(sed 's/#.*//; s/.*://' "$@" | tr -s ' \n' ' ')"
        return 0
    fi
    local -a missing
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} == 0)); then
        note "all packages are installed"
        return 0
    fi
    note "installing: ${missing[*]}"
    if [[ $(id -u) != 0 ]] && ! have sudo; then
        die "packages are missing and there is neither root nor sudo. As root, run:
    apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    fi
    # A fresh container has no lists; an old one has lists that name versions which are gone.
    if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
        run_quietly "$log" as_root apt-get update -q
        run_quietly "$log" apt_install "${missing[@]}" && return 0
    elif apt_install "${missing[@]}" >"$log" 2>&1 </dev/null; then
        return 0
    else
        run_quietly "$log" as_root apt-get update -q
        run_quietly "$log" apt_install "${missing[@]}" && return 0
    fi
    die "apt-get could not install ${missing[*]}; see $log"
}
