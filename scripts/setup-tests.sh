#!/usr/bin/env bash
# Installs the Debian packages that the tests and benchmarks use as real parts. Idempotent; touches nothing when all are there.
# Starts no service, stops none that was running before, removes no package. What cannot be installed is named, and the
# script still ends well: the tests that need the part then fail and name the package.
set -euo pipefail

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# command : package that brings it
readonly NEEDS=(
  cc:gcc
  c++:g++
  prometheus:prometheus
  promtool:prometheus
  prometheus-alertmanager:prometheus-alertmanager
  amtool:prometheus-alertmanager
  prometheus-node-exporter:prometheus-node-exporter
  sshd:openssh-server
  ssh:openssh-client
  ssh-keygen:openssh-client
  dockerd:docker.io
  docker:docker.io
  iptables:iptables
  debootstrap:debootstrap
  python3:python3
  openssl:openssl
  mkfs.ext4:e2fsprogs
  wrk:wrk
)

# Packages that bring no command by which to tell: a static busybox, the C library's headers, certificates for crates.io; PostgreSQL keeps
# its programs in a folder of its own.
readonly FILES=(busybox-static libc6-dev ca-certificates postgresql)

installed() {
  [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

missing() {
  local need package
  for need in "${NEEDS[@]}"; do
    command -v "${need%%:*}" >/dev/null || echo "${need##*:}"
  done
  for package in "${FILES[@]}"; do
    installed "$package" || echo "$package"
  done
}

say() { echo "setup-tests: $*" >&2; }

as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    "$@"
  elif [[ -t 0 ]]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

# Debian starts a service as soon as its package is unpacked, unless this file says no. An operator's own file stays.
readonly POLICY=/usr/sbin/policy-rc.d
policy_is_ours=
forbid_starting() {
  [[ -e "$POLICY" ]] && return 0
  printf '#!/bin/sh\n# Written by scripts/setup-tests.sh of paramedic while it installs packages.\nexit 101\n' \
    | as_root tee "$POLICY" >/dev/null
  policy_is_ours=yes
  as_root chmod 755 "$POLICY"
}
allow_starting() {
  [[ -z "$policy_is_ours" ]] || as_root rm -f "$POLICY"
  policy_is_ours=
}
trap allow_starting EXIT

# Packages that bring a service which would start at the next boot: the tests start their own, on ports of their own.
readonly DAEMONS=(openssh-server docker.io containerd prometheus prometheus-alertmanager prometheus-node-exporter postgresql-common)

daemons_installed() {
  local package
  for package in "${DAEMONS[@]}"; do
    if installed "$package"; then echo "$package"; fi
  done
}

# Only those that came with us; one that was there before is its owner's business.
keep_off() {
  local before="$1" package unit
  command -v systemctl >/dev/null || return 0
  while read -r package; do
    grep -qx "$package" <<<"$before" && continue
    while read -r unit; do
      as_root systemctl disable "$unit" >/dev/null 2>&1 || say "note: could not disable $unit"
    done < <(dpkg-query -L "$package" | sed -nE 's|^(/usr)?/lib/systemd/system/([^/@]+\.(service\|socket\|timer))$|\2|p')
  done < <(daemons_installed)
}

install() {
  local before apt=(apt-get -y -q --no-remove --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  before="$(daemons_installed)"
  forbid_starting
  as_root "${apt[@]}" update || say "note: apt-get update did not go through; trying with the lists at hand"
  # All at once is fast; one by one finds the culprit when that fails.
  if ! as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install "$@"; then
    local package
    for package in "$@"; do
      as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install "$package" || say "apt-get could not install $package"
    done
  fi
  allow_starting
  keep_off "$before"
}

main() {
  local wanted left
  mapfile -t wanted < <(missing | sort -u)
  if [[ "${#wanted[@]}" == 0 ]]; then
    say "everything the tests need is installed"
    return
  fi
  say "missing: ${wanted[*]}"
  if ! command -v apt-get >/dev/null; then
    say "this is no Debian: no apt-get; install these by other means"
  elif [[ "$(id -u)" != 0 ]] && ! command -v sudo >/dev/null; then
    say "neither root nor sudo; as root: apt-get install ${wanted[*]}"
  else
    install "${wanted[@]}" || say "the installation stopped early"
  fi
  mapfile -t left < <(missing | sort -u)
  if [[ "${#left[@]}" == 0 ]]; then
    say "installed: ${wanted[*]}"
  else
    say "COULD NOT INSTALL: ${left[*]}"
    say "the tests that need these parts will fail and name them"
  fi
}

main
