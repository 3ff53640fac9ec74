#!/bin/sh
# Installs the terminals that tests/terminal/real drives (Debian 12 or later, root), and, in folders of
# their own, a Debian 13 with kitty 0.41 (Debian 12's kitty 0.26 has no placeholders) and Konsole, and a
# Debian 14 with a later kitty and tmux. Where Konsole or Debian 14 cannot be had, their tests skip.
# xterm.js, the terminal of VS Code, needs npm, too: it is left out where npm is not installed.
#   setup.sh          install, make, mount; may be repeated
#   setup.sh umount   before the folders are ever deleted: parts of this system are mounted in them
# ANNOTATOR_TRIXIE, ANNOTATOR_FORKY: where those systems lie (default: annotator-trixie and
# annotator-forky in the cache folder).
# ANNOTATOR_FEWER=1: neither Konsole nor Debian 14, which take some two minutes and 1.5 GB.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}
trixie=${ANNOTATOR_TRIXIE:-$cache/annotator-trixie}
forky=${ANNOTATOR_FORKY:-$cache/annotator-forky}
here=$(cd "$(dirname "$0")/../../.." && pwd)
shared="/proc /dev /dev/pts /dev/shm ${TMPDIR:-/tmp} $HOME $here"
python=$("$here/${VENV:-.venv}/bin/python" -c 'import sys; print(sys.base_prefix)' 2>/dev/null || true)
case "$python" in ""|/usr|"$HOME"*) ;; *) shared="$shared $python" ;; esac
# A mirror that does not answer is asked again, and not waited for without end.
retry="-q -o Acquire::Retries=3 -o Acquire::http::Timeout=30"
drawing="libgl1-mesa-dri libgl1 libegl1 fonts-dejavu-core libxcursor1 libxkbcommon-x11-0 libdbus-1-3"

mounted() { mountpoint -q "$1"; }

if [ "${1:-}" = umount ]; then
  for root in "$trixie" "$forky"; do
    for folder in $(printf '%s\n' $shared | tac); do
      if mounted "$root$folder"; then umount "$root$folder"; fi
    done
  done
  exit 0
fi

export DEBIAN_FRONTEND=noninteractive
wanted=
for package in xvfb kitty xterm mlterm tmux debootstrap libgl1-mesa-dri fonts-dejavu-core; do
  dpkg -s "$package" >/dev/null 2>&1 || wanted="$wanted $package"
done
if [ -n "$wanted" ]; then
  apt-get $retry update
  apt-get $retry install -y --no-install-recommends $wanted
fi

# The terminal of VS Code, in a browser: the packages of package-lock.json, and no script of theirs.
xterm_js() {
  modules=$here/tests/terminal/real/xtermjs
  if ! command -v npm >/dev/null; then echo "npm is not installed: xterm.js is left out"; return; fi
  dpkg -s chromium >/dev/null 2>&1 ||
    apt-get $retry install -y --no-install-recommends chromium || return 0
  if ! cmp -s "$modules/package-lock.json" "$modules/node_modules/installed"; then
    (cd "$modules" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund --legacy-peer-deps) || return 0
    cp "$modules/package-lock.json" "$modules/node_modules/installed"
  fi
}
xterm_js

# system FOLDER SUITE: a small Debian. Made under another name: what was cut short is not taken for whole.
system() {
  if [ ! -e "$1/etc/debian_version" ]; then
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
    for folder in proc sys; do
      if mounted "$1.part/$folder"; then umount "$1.part/$folder"; fi
    done
    rm -rf --one-file-system "$1.part"
    mkdir -p "$1.part"
    script=/usr/share/debootstrap/scripts/$2  # Debian 12's does not know the suites after its own
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    debootstrap --variant=minbase --include=ca-certificates "$2" "$1.part" "$mirror" "$script" || return 1
    rmdir "$1" 2>/dev/null || true
    mv -T "$1.part" "$1"
  fi
  cp /etc/resolv.conf "$1/etc/resolv.conf"
  cp -r /etc/apt/apt.conf.d/. "$1/etc/apt/apt.conf.d/" 2>/dev/null || true
}

# installed FOLDER PROGRAM PACKAGE...: the packages, if the program is not there.
installed() {
  root=$1 program=$2
  shift 2
  [ ! -x "$root/usr/bin/$program" ] || return 0
  mkdir -p "$root/proc"
  mounted "$root/proc" || mount --bind /proc "$root/proc"
  chroot "$root" apt-get $retry update &&
    chroot "$root" apt-get $retry install -y --no-install-recommends "$@"
}

share() {
  for folder in $shared; do
    mkdir -p "$1$folder"
    mounted "$1$folder" || mount --bind "$folder" "$1$folder"
  done
}

mkdir -p "${TMPDIR:-/tmp}/.X11-unix"
chmod 1777 "${TMPDIR:-/tmp}/.X11-unix"
system "$trixie" trixie
installed "$trixie" kitty kitty xterm tmux $drawing
if [ "$(tmux -V)" = "tmux 3.3a" ]; then  # Debian 12's; it finds its libraries in there, too
  mkdir -p "$trixie/opt/tmux-3.3a"
  cp "$(command -v tmux)" "$trixie/opt/tmux-3.3a/tmux"
fi
share "$trixie"
[ -z "${ANNOTATOR_FEWER:-}" ] || exit 0

# What cannot be had ends only itself.
(installed "$trixie" konsole konsole) || echo "Konsole cannot be installed: its tests skip" >&2
(system "$forky" forky && installed "$forky" kitty kitty tmux $drawing && share "$forky") ||
  echo "Debian 14 cannot be installed: the tests of its kitty and tmux skip" >&2
