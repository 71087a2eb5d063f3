#!/bin/sh
# The real services that tests talk to.
#
#   eval "$(test/services.sh start)"   installs what is missing, starts it, prints the variables that tests read
#   test/services.sh stop              stops what was started and removes its data
#
# PostgreSQL listens on 127.0.0.1:54329 with its data in a temporary directory, beside any other PostgreSQL.
# Where it cannot be had, its tests are skipped; with CI=true that is an error.
set -eu
# runuser is there, which not every PATH has.
PATH="$PATH:/usr/sbin:/sbin"

port=54329
user=mongooseim
base="${MONGOOSEIM_TEST_SERVICES:-/tmp/mongooseim-test-services-$(id -u)}"
data="$base/pgsql"

say() { echo "test/services.sh: $*" >&2; }

# PostgreSQL refuses to run as root.
unprivileged() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

find_postgres() {
  for bin in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/initdb)")"; do
    if [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ]; then echo "$bin"; return; fi
  done
  return 1
}

install_postgres() {
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
  say "installing PostgreSQL"
  # Debian would start a server of its own on port 5432.
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  fi
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql; } >&2
}

missing() {
  say "PostgreSQL is not here and cannot be installed: $1"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 0
}

start() {
  bin=$(find_postgres) || { install_postgres && bin=$(find_postgres); } || missing "install it, or run this as root on Debian"
  if ! unprivileged "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1; then
    rm -rf "$base"
    mkdir -p -m 700 "$base"
    if [ "$(id -u)" -eq 0 ]; then chown postgres "$base"; fi
    unprivileged sh -c "echo $user >'$base/password'"
    unprivileged "$bin/initdb" -D "$data" -U "$user" -A scram-sha-256 --pwfile="$base/password" -E UTF8 \
      --locale=C --no-sync >/dev/null
    # The log goes to a file: a server that holds our output would keep $(…) waiting.
    unprivileged "$bin/pg_ctl" -D "$data" -w -t 15 -l "$base/log" \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$base -c max_connections=200" start >/dev/null ||
      { cat "$base/log" >&2; missing "it does not start on port $port"; }
    unprivileged env PGPASSWORD="$user" "$bin/createdb" -h 127.0.0.1 -p "$port" -U "$user" "$user"
  fi
  echo "export TEST_PGSQL=postgres://$user:$user@127.0.0.1:$port/$user"
}

stop() {
  if bin=$(find_postgres) && [ -d "$data" ]; then
    unprivileged "$bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
  fi
  rm -rf "$base"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) say "start or stop is what it does"; exit 2 ;;
esac
