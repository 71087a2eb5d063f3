#!/bin/sh
# PostgreSQL of another version than Debian's: the programs that the project embedded-postgres-binaries keeps in Maven
# Central, beside everything else. Neither they nor their data touch the system.
#
#   eval "$(test/postgres.sh 12.22.0 start)"   fetches it, starts it, prints the variable that tests read
#   test/postgres.sh 12.22.0 stop              stops it and removes its data; what was fetched stays
#
# It needs curl, unzip, tar with xz, and a user "postgres" when it is run as root, as which PostgreSQL refuses to run.
# It listens on 127.0.0.1:54300 plus its major version. Versions: 10.23.0 to 18.6.0 (see the listing in Maven Central).
set -eu

version="$1"
user=mongooseim
base="${MONGOOSEIM_TEST_POSTGRES:-/tmp/mongooseim-test-postgres-$(id -u)}/$version"
port=$((54300 + ${version%%.*}))
name=embedded-postgres-binaries-linux-$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64v8/')
mirror="${MAVEN_MIRROR:-https://repo1.maven.org/maven2}"

unprivileged() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

fetch() {
  if [ -e "$base/complete" ]; then return; fi
  rm -rf "$base"
  mkdir -p "$base/root"
  curl -sSf -o "$base/all.jar" "$mirror/io/zonky/test/postgres/$name/$version/$name-$version.jar"
  unzip -p "$base/all.jar" '*.txz' | tar xJ -C "$base/root"
  rm "$base/all.jar"
  if [ "$(id -u)" -eq 0 ]; then chown -R postgres "$base"; fi
  touch "$base/complete"
}

start() {
  fetch
  if ! unprivileged "$base/root/bin/pg_ctl" -D "$base/data" status >/dev/null 2>&1; then
    rm -rf "$base/data"
    unprivileged sh -c "echo $user >'$base/password'"
    unprivileged "$base/root/bin/initdb" -D "$base/data" -U "$user" -A scram-sha-256 --pwfile="$base/password" -E UTF8 \
      --locale=C --no-sync >/dev/null
    # The log goes to a file: a server that holds our output would keep $(…) waiting.
    unprivileged "$base/root/bin/pg_ctl" -D "$base/data" -w -t 15 -l "$base/log" \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$base -c max_connections=200" start >/dev/null
    # No createdb comes with it, and no psql.
    PGURL="postgres://$user:$user@127.0.0.1:$port/postgres" NAME="$user" \
      bun -e 'await new Bun.SQL(process.env.PGURL).unsafe(`CREATE DATABASE ${process.env.NAME}`); process.exit()'
  fi
  echo "export TEST_PGSQL=postgres://$user:$user@127.0.0.1:$port/$user"
}

case "${2:-}" in
start) start ;;
stop)
  unprivileged "$base/root/bin/pg_ctl" -D "$base/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$base/data" "$base/password" "$base/log"
  ;;
*)
  echo "usage: $0 VERSION start|stop" >&2
  exit 2
  ;;
esac
