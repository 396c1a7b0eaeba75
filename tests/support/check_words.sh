#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The project speaks of itself alone: no path of a developer's machine, no word about how it was
# written. Prints the lines that break this and ends with 1 if there are any.
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}"

# Character classes keep these patterns from matching themselves.
patterns=(
    '(^|[^[:alnum:]_.])/w[o]rk/'
    '/tmp/[n]pm'
    '/[r]oot/'
    '/h[o]me/[a-z]+/'
    '[Ww]ork[p]lace'
    '[Ss]ub-?[a]gents?\b'
    '\b(this|another|previous|next) s[e]ssion\b'
    '\bA[I] (assistant|agent|helper)s?\b'
    '\blanguage m[o]del\b'
    '\b(Cl[a]ude|Anthr[o]pic|ChatG[P]T|Copil[o]t)\b'
    'npm[j]s\.org'
    '\b[a-z]*(artifactory|nexus|mirr[o]r)\.[a-z.]+'
)

expression=$(IFS='|' && echo "${patterns[*]}")
if git ls-files -z | xargs -0 grep -nIE -- "$expression"; then
    echo 'words: the lines above speak of something outside the project' >&2
    exit 1
fi
echo 'words: 0 findings'
