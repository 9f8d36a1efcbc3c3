# What the service scripts beside this file share; sourced, never run.
#
# Each script starts one server with everything it has (settings, log, data) under a folder DIR,
# listening on 127.0.0.1 alone, and stops exactly what it started: by its recorded process number
# together with that process's start time, never by a name.
#
#   SCRIPT install      packages by name; does nothing where they are
#   SCRIPT start DIR    waits until it answers and prints its address as NAME=value; again: prints it
#   SCRIPT stop DIR     orderly; does nothing where nothing runs
#   SCRIPT crash DIR    SIGKILL; a later start goes on with the same data and port
set -euo pipefail
umask 022
service=$(basename "$0")
die() { echo "$service: $*" >&2; exit 1; }

install_packages() {
  local missing=() package log made=
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" = 0 ] || die "not installed: ${missing[*]}; install them, or run this as root"
  log=$(mktemp)
  # A package must not start a daemon of its own.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    made=1
  fi
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  local ok=1
  { "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; }; } > "$log" 2>&1 < /dev/null || ok=
  [ -z "$made" ] || rm -f /usr/sbin/policy-rc.d
  [ -n "$ok" ] || { tail -n 20 "$log" >&2; rm -f "$log"; die "could not install ${missing[*]}"; }
  rm -f "$log"
}

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# A free port below the range that the kernel gives to clients; kept in DIR for a later start.
port_of() {
  local port
  if [ -s "$1/port" ]; then cat "$1/port"; return; fi
  while :; do
    port=$((RANDOM % 12000 + 20000))
    answers "$port" || { echo "$port" | tee "$1/port"; return; }
  done
}

started_at() { local stat; stat=$(cat "/proc/$1/stat" 2> /dev/null) || return 1; set -- ${stat##*) }; [ "$1" != Z ] && echo "${20}"; }

# running DIR: prints the process number if that very process still runs.
running() {
  local number start
  [ -s "$1/process" ] && read -r number start < "$1/process" || return 1
  [ "$(started_at "$number" || true)" = "$start" ] && echo "$number"
}

# spawn DIR COMMAND...: in a session of its own, so that a signal to the caller's group spares it.
spawn() {
  local dir=$1; shift
  setsid "$@" >> "$dir/log" 2>&1 < /dev/null &
  echo "$! $(started_at $!)" > "$dir/process"
  disown
}

# wait_until SECONDS COMMAND...: looks every 50 ms; gives up at once when the server has ended.
wait_until() {
  local dir=$1 tries=$(($2 * 20)); shift 2
  until "$@" > /dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries -le 0 ] || ! running "$dir" > /dev/null; then
      tail -n 20 "$dir/log" >&2
      halt "$dir" KILL
      die "did not come up in $dir"
    fi
    sleep 0.05
  done
}

# halt DIR SIGNAL: ends the server and waits until it is gone.
halt() {
  local number tries=600
  number=$(running "$1") || { rm -f "$1/process"; return 0; }
  kill "-$2" "$number" 2> /dev/null || true
  while running "$1" > /dev/null; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || kill -KILL "$number" 2> /dev/null || true
    sleep 0.05
  done
  rm -f "$1/process"
}

main() {
  local verb=${1:-} dir=${2:-}
  case $verb in
    install) do_install; return ;;
    start | stop | crash) [ -n "$dir" ] || die "which DIR?" ;;
    *) echo "usage: $service install | start DIR | stop DIR | crash DIR" >&2; exit 2 ;;
  esac
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  case $verb in
    start) running "$dir" > /dev/null || do_start "$dir"; do_print "$dir" ;;
    stop) halt "$dir" "$stop_signal" ;;
    crash) halt "$dir" KILL ;;
  esac
}
