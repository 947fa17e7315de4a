#!/bin/sh
# test.sh: checks the types of the package and of the scenarios' handlers, and runs their tests
# with what cargo has built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
found=$(sh "$here/setup.sh" --print)
bun=$(echo "$found" | head -n 1)
home=$(echo "$found" | tail -n 1)
for folder in "$here" "$here/../../../scenarios/handlers/typescript"; do
    cd "$folder"
    "$bun" "$home/node_modules/typescript/bin/tsc" -p . --typeRoots "$home/node_modules/@types"
    "$bun" test
done
