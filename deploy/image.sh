#!/bin/sh
# image.sh [DIR]: builds the engine's images, stepmark-orchestrator and stepmark-worker-rust, with
# the programs in DIR (target/release). BASE names the image below them, TAG their tag.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
programs=${1:-$root/target/release}
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
trap 'exit 1' HUP INT TERM
cp "$root/deploy/healthy" "$context"
cp -r "$root/fixtures" "$context"
targets='orchestrator worker-rust'
for target in $targets; do
    cp "$programs/stepmark-$target" "$context"
done
for target in $targets; do
    docker build --quiet --file "$root/deploy/Dockerfile" --target "$target" \
        --build-arg "BASE=${BASE:-debian:12-slim}" --tag "stepmark-$target:${TAG:-latest}" \
        "$context"
done
