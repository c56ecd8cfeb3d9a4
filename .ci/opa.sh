#!/usr/bin/env bash
# Prints the folder that holds opa; builds it from the pinned sources when there is none.
set -euo pipefail
cd "$(dirname "$0")/opa"

if found=$(command -v opa); then
    dirname "$found"
    exit
fi
command -v go >/dev/null || { echo "opa: needs Go to be built; or install opa" >&2; exit 1; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trilemma/opa/$(cat go.mod go.sum | sha256sum | cut -c1-16)
if [ ! -x "$cache/opa" ]; then
    echo "opa: building it, once (a minute or two)" >&2
    mkdir -p "$cache"
    GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 GOWORK=off \
        go build -mod=readonly -o "$cache/opa.new" github.com/open-policy-agent/opa
    mv "$cache/opa.new" "$cache/opa"
fi
echo "$cache"
