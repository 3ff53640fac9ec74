#!/bin/sh
# Installs the terminals that tests/terminal/real drives (Debian 12 or later, root), and, in a folder of
# its own, a Debian 13 with kitty 0.41, for Debian 12's kitty 0.26 has no placeholders. xterm.js, the
# terminal of VS Code, needs npm, too: it is left out where npm is not installed.
#   setup.sh          install, make, mount; may be repeated
#   setup.sh umount   before the folder is ever deleted: parts of this system are mounted in it
# ANNOTATOR_TRIXIE: where that system lies (default: annotator-trixie in the cache folder).
set -eu
root=${ANNOTATOR_TRIXIE:-${XDG_CACHE_HOME:-$HOME/.cache}/annotator-trixie}
here=$(cd "$(dirname "$0")/../../.." && pwd)
shared="/proc /dev /dev/pts /dev/shm ${TMPDIR:-/tmp} $HOME $here"
python=$("$here/${VENV:-.venv}/bin/python" -c 'import sys; print(sys.base_prefix)' 2>/dev/null || true)
case "$python" in ""|/usr|"$HOME"*) ;; *) shared="$shared $python" ;; esac

mounted() { mountpoint -q "$1"; }
# A mirror that does not answer is asked again, and not waited for without end.
apt() { apt-get -q -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"; }

if [ "${1:-}" = umount ]; then
  for folder in $(printf '%s\n' $shared | tac); do
    if mounted "$root$folder"; then umount "$root$folder"; fi
  done
  exit 0
fi

export DEBIAN_FRONTEND=noninteractive
wanted=
for package in xvfb kitty xterm mlterm tmux debootstrap libgl1-mesa-dri fonts-dejavu-core; do
  dpkg -s "$package" >/dev/null 2>&1 || wanted="$wanted $package"
done
if [ -n "$wanted" ]; then
  apt update
  apt install -y --no-install-recommends $wanted
fi

# The terminal of VS Code, in a browser: the packages of package-lock.json, and no script of theirs.
xterm_js() {
  modules=$here/tests/terminal/real/xtermjs
  if ! command -v npm >/dev/null; then echo "npm is not installed: xterm.js is left out"; return; fi
  dpkg -s chromium >/dev/null 2>&1 || apt install -y --no-install-recommends chromium || return 0
  if ! cmp -s "$modules/package-lock.json" "$modules/node_modules/installed"; then
    (cd "$modules" && timeout 120 npm ci --ignore-scripts --no-audit --no-fund --legacy-peer-deps) || return 0
    cp "$modules/package-lock.json" "$modules/node_modules/installed"
  fi
}
xterm_js

# Made under another name: what was cut short is not taken for whole.
if [ ! -e "$root/etc/debian_version" ]; then
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
  for folder in proc sys; do
    if mounted "$root.part/$folder"; then umount "$root.part/$folder"; fi
  done
  rm -rf --one-file-system "$root.part"
  mkdir -p "$root.part"
  debootstrap --variant=minbase --include=ca-certificates trixie "$root.part" "$mirror"
  rmdir "$root" 2>/dev/null || true
  mv -T "$root.part" "$root"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
if [ ! -x "$root/usr/bin/kitty" ]; then
  mkdir -p "$root/proc"
  mounted "$root/proc" || mount --bind /proc "$root/proc"
  retry="-q -o Acquire::Retries=3 -o Acquire::http::Timeout=30"
  chroot "$root" apt-get $retry update
  chroot "$root" apt-get $retry install -y --no-install-recommends \
    kitty xterm tmux libgl1-mesa-dri libgl1 libegl1 fonts-dejavu-core libxcursor1 \
    libxkbcommon-x11-0 libdbus-1-3
fi
if [ "$(tmux -V)" = "tmux 3.3a" ]; then  # Debian 12's; it finds its libraries in there, too
  mkdir -p "$root/opt/tmux-3.3a"
  cp "$(command -v tmux)" "$root/opt/tmux-3.3a/tmux"
fi
mkdir -p "${TMPDIR:-/tmp}/.X11-unix"
chmod 1777 "${TMPDIR:-/tmp}/.X11-unix"
for folder in $shared; do
  mkdir -p "$root$folder"
  mounted "$root$folder" || mount --bind "$folder" "$root$folder"
done
