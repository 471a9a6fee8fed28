# shellcheck shell=bash
# Shared by the scripts: places, messages, checked downloads. Sourced, not run.

# shellcheck disable=SC2034  # used by the scripts that source this
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TWIN_CACHE=${TWIN_CACHE:-$HOME/.cache/llm-twin}
export TWIN_CACHE
mkdir -p "$TWIN_CACHE"
# Where Maven puts what it downloads.
# shellcheck disable=SC2034  # used by the scripts that source this
MAVEN_REPOSITORY=$HOME/.m2/repository

# say MESSAGE: what happens now.
say() { printf '==> %s\n' "$*"; }

# note MESSAGE: a detail of it.
note() { printf '    %s\n' "$*"; }

# die MESSAGE...: one line each, then the end.
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    if (($#)); then printf '       %s\n' "$@" >&2; fi
    exit 1
}

# need COMMAND: it has to be there. scripts/packages installs what may be missing.
need() { command -v "$1" >/dev/null || die "$1 is missing" "install it with scripts/packages"; }

# sum_of FILE: its sha256.
sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# is_sum FILE SHA256: whether the file is there and is the right one.
is_sum() { [[ -f $1 && $(sum_of "$1") == "$2" ]]; }

# require_sum FILE SHA256: it is an error if not.
require_sum() {
    local found
    [[ -f $1 ]] || die "$1 was not made"
    found=$(sum_of "$1")
    [[ $found == "$2" ]] || die "$1 has the wrong sha256" "expected $2" "found    $found"
}

# is_installed MARKER FILE...: whether an installation came to its end and these of its files are still there. A cache
# folder that was kept in part, by a clean-up or by a CI system, may have the marker without them.
is_installed() {
    local file
    for file in "$@"; do [[ -e $file ]] || return 1; done
}

# only_one NAME: waits until no other run of the script NAME works in this cache folder.
only_one() {
    exec 9>"$TWIN_CACHE/.$1.lock"
    flock --nonblock 9 || { note "waiting for another scripts/$1"; flock 9; }
}

# with_progress FOLDER COMMAND...: runs a command that is silent for long, and says every few seconds how
# long it has run and how much FOLDER has grown. Its output is shown if it fails.
with_progress() {
    local folder=$1 output pid before status=0 start=$SECONDS next=5
    shift
    output=$(mktemp)
    before=$(megabytes "$folder")
    "$@" >"$output" 2>&1 &
    pid=$!
    # A Ctrl-C must end the command too.
    trap 'kill "$pid" 2>/dev/null || true; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        if ((SECONDS - start >= next)); then
            note "$((SECONDS - start)) s, $(($(megabytes "$folder") - before)) MB"
            next=$((SECONDS - start + 5))
        fi
        sleep 0.2
    done
    wait "$pid" || status=$?
    trap - INT TERM
    if ((status)); then
        cat "$output" >&2
        rm -f "$output"
        die "this command failed with status $status:" "$*"
    fi
    rm -f "$output"
}

# megabytes FOLDER: its size, 0 if it is not there.
megabytes() { [[ -d $1 ]] && du -sm "$1" 2>/dev/null | cut -f 1 || echo 0; }

# extract ARCHIVE MEMBER TARGET SHA256: one file of a zip archive, checked before it gets its name, so that
# a killed run leaves nothing wrong behind.
extract() {
    mkdir -p "$(dirname "$3")"
    unzip -p "$1" "$2" >"$3.partial" || die "$1 does not contain $2"
    require_sum "$3.partial" "$4"
    mv "$3.partial" "$3"
    note "$3"
}

# is_twin PID: whether this process is a running twin. An id in an old file may belong to another process.
is_twin() {
    local executable
    executable=$(readlink "/proc/${1:-none}/exe" 2>/dev/null) || return 1
    executable=${executable% (deleted)}
    [[ ${executable##*/} == twin ]]
}
