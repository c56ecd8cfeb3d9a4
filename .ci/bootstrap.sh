#!/usr/bin/env bash
# Makes this checkout ready to run: .venv, a container engine, the two sandbox images.
# Does nothing that is already done; then it takes about a second and needs no network.
# Packages come from where uv or pip, and apt, are set up to get them.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "bootstrap: $*" >&2; }
fail() { say "$*"; exit 1; }

# On Debian as root; the package lists are fetched only when they are missing or too old.
install_debian() {
    export DEBIAN_FRONTEND=noninteractive
    say "installing $* from Debian"
    apt-get install -y -qq "$@" >/dev/null 2>&1 && return
    apt-get update -qq || say "apt-get update complained; trying with the lists there are"
    apt-get install -y -qq "$@" >/dev/null
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

environment() {
    local stamp
    stamp=$(cat pyproject.toml "$0" | sha256sum)
    [ "$(cat .venv/.ready 2>/dev/null)" = "$stamp" ] && return
    if command -v uv >/dev/null; then
        say "making .venv with uv"
        [ -x .venv/bin/python ] || uv venv -q --no-python-downloads --python '>=3.11' .venv
        uv pip install -q --python .venv/bin/python --editable . --group dev
    else
        say "making .venv with pip"
        [ -x .venv/bin/python ] || python_venv
        .venv/bin/python -m pip install -q 'pip>=25.1'
        .venv/bin/python -m pip install -q --editable . --group dev
    fi
    echo "$stamp" >.venv/.ready
}

python_venv() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        { can_install && install_debian python3; } || fail "Python 3.11 or newer is needed"
    python3 -m venv .venv >/dev/null 2>&1 && return
    rm -rf .venv
    can_install || fail "python3 -m venv does not work; on Debian: apt-get install python3-venv"
    install_debian python3-venv
    python3 -m venv .venv
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

engine() {
    engine_answers && return
    if ! command -v dockerd >/dev/null && ! [ "${DOCKER_HOST:-}" ]; then
        can_install || fail "Docker is needed; on Debian: sudo apt-get install docker.io"
        install_debian docker.io
    fi
    engine_answers && return
    [ "$(id -u)" = 0 ] || fail "Docker does not answer: start it, and see that 'docker version'" \
        "works for $(id -un) (sudo adduser $(id -un) docker)"
    start_engine
}

# No sandbox has a network interface but lo, so an engine of ours needs no bridge.
start_engine() {
    local log=/var/log/trilemma-dockerd.log
    if [ -d /run/systemd/system ]; then
        say "starting Docker"
        systemctl start docker || true
    else
        say "starting dockerd, log in $log"
        setsid dockerd --iptables=false --bridge=none >"$log" 2>&1 </dev/null &
    fi
    for _ in $(seq 60); do
        engine_answers && return
        sleep 0.5
    done
    fail "Docker does not start: $(tail -n 1 "$log" 2>/dev/null || echo see journalctl -u docker)"
}

environment
engine
.venv/bin/python -m trilemma.sandbox.images
