#!/bin/sh
# image.sh [DIR]: builds the engine's images, stepmark-orchestrator and stepmark-worker-LANGUAGE,
# with the programs and libraries in DIR (target/release). BASE, RUBY_BASE and PYTHON_BASE name the
# images below them, TAG their tag.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
built=${1:-$root/target/release}
# The library is of the minor version of the Ruby that it is built with.
ruby=$("${STEPMARK_RUBY:-ruby}" -e 'print RUBY_VERSION[/\d+\.\d+/]')
bun=$(sh "$root/engine/bindings/typescript/setup.sh" --print | head -n 1)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
trap 'exit 1' HUP INT TERM

# pack LANGUAGE LIBRARY FILE...: the package with the library in its place, and the handlers.
pack() {
    into=$context/$1 handlers=scenarios/handlers/$1 package=engine/bindings/$1
    library=$into/$package/$2
    shift 2
    mkdir "$into"
    tar -C "$root" -c --exclude=tests --exclude='*.test.ts' --exclude='*_test.rb' \
        --exclude='test_*.py' --exclude=conftest.py --exclude=__pycache__ --exclude=prebuilds \
        --exclude='*.so' \
        "$handlers" $(printf "$package/%s\n" "$@") | tar -C "$into" -x
    install -D -m 644 "$built/libstepmark_${into##*/}.so" "$library"
}
pack ruby "lib/stepmark/prebuilds/$ruby/libstepmark_ruby.so" lib
pack python stepmark/_native.abi3.so stepmark
platform=$("$bun" --print 'process.platform + "-" + process.arch')
pack typescript "prebuilds/$platform/libstepmark_typescript.so" src package.json tsconfig.json
cp -r "$root/deploy/healthy" "$root/fixtures" "$built/stepmark-orchestrator" \
    "$built/stepmark-worker-rust" "$context"
cp -L "$bun" "$context/bun"
chmod -R a+rX "$context"

for target in orchestrator worker-rust worker-ruby worker-python worker-typescript; do
    docker build --quiet --file "$root/deploy/Dockerfile" --target "$target" \
        --build-arg "BASE=${BASE:-debian:12-slim}" \
        --build-arg "RUBY_BASE=${RUBY_BASE:-ruby:$ruby-slim-bookworm}" \
        --build-arg "PYTHON_BASE=${PYTHON_BASE:-python:3.11-slim-bookworm}" \
        --tag "stepmark-$target:${TAG:-latest}" "$context"
done
