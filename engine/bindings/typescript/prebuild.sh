#!/bin/sh
# prebuild.sh LIBRARY [FOLDER]: puts what is made of sources into the package in FOLDER (this one
# unless told): the library that cargo has built, where it is looked for on this kind of machine in
# the words of JavaScript's process.platform and arch; and the types.
set -eu
library=$1
here=$(cd "$(dirname "$0")" && pwd)
prebuilds=${2:-$here}/prebuilds
case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
esac
place=$prebuilds/linux-$arch
mkdir -p "$place"
cp "$library" "$place/.new"
# A program that runs keeps its own.
mv "$place/.new" "$place/libstepmark_typescript.so"
found=$(sh "$here/setup.sh" --print)
bun=$(echo "$found" | head -n 1)
home=$(echo "$found" | tail -n 1)
"$bun" "$home/node_modules/typescript/bin/tsc" -p "$here/tsconfig.package.json" \
    --typeRoots "$home/node_modules/@types" --outDir "$prebuilds/types"
