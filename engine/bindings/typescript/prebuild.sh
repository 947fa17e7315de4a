#!/bin/sh
# prebuild.sh: puts the library that `cargo build --release` has made into the package, where it is
# looked for on this kind of machine, in the words of JavaScript's process.platform and arch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
esac
place=$here/prebuilds/linux-$arch
mkdir -p "$place"
cp "$here/../../../target/release/libstepmark_typescript.so" "$place/.new"
# A program that runs keeps its own.
mv "$place/.new" "$place/libstepmark_typescript.so"
