#!/bin/sh
# test.sh [TEST...]: checks the types of the package and of the scenarios' handlers, and runs their
# tests, or these of the handlers, with what cargo has built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
found=$(sh "$here/setup.sh" --print)
bun=$(echo "$found" | head -n 1)
home=$(echo "$found" | tail -n 1)
# In a folder, of all its tests or of these.
run() {
    cd "$1"
    shift
    "$bun" "$home/node_modules/typescript/bin/tsc" -p . --typeRoots "$home/node_modules/@types"
    "$bun" test "$@"
}
[ $# -gt 0 ] || run "$here"
run "$here/../../../scenarios/handlers/typescript" "$@"
