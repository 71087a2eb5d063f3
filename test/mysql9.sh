#!/bin/sh
# Oracle's MySQL, which Debian's stable releases do not have: the newest of Debian sid, beside everything else.
#
#   eval "$(test/mysql9.sh start)"   fetches it, starts it, prints the variables that tests read
#   test/mysql9.sh stop              stops it and removes its data; what was fetched stays
#   test/mysql9.sh remove            stops it and removes all of it
#
# Nothing of the system is changed: apt works in a directory of its own, where the server and all its libraries are
# unpacked, and the server is run with sid's loader. It needs no root, only apt-get, dpkg-deb, the network and 500 MB.
# It listens on 127.0.0.1:54397 and, apart from where and how much, keeps the defaults of MySQL: caching_sha2_password,
# TLS with a certificate that it makes itself, utf8mb4_0900_ai_ci, its sql_mode, its binary log.
set -eu

user=mongooseim
base="${MONGOOSEIM_TEST_MYSQL9:-/tmp/mongooseim-test-mysql9-$(id -u)}"
mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
port=54397
root="$base/root"
data="$base/data"

say() { echo "test/mysql9.sh: $*" >&2; }

# apt with lists, packages and settings of its own, for which nothing is installed.
own_apt() {
  apt-get -qq -o Dir::State="$base/apt" -o Dir::State::status="$base/apt/status" -o Dir::Cache="$base/apt/cache" \
    -o Dir::Etc::SourceList="$base/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o APT::Install-Recommends=false -o Debug::NoLocking=true "$@" >&2
}

fetch() {
  if [ -e "$root/complete" ]; then return; fi
  say "fetching MySQL from $mirror"
  rm -rf "$root" "$base/apt"
  mkdir -p "$root" "$base/apt/lists/partial" "$base/apt/cache/archives/partial"
  : >"$base/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$base/apt/sources.list"
  own_apt update
  own_apt install --download-only -y mysql-server-core
  for package in "$base"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
  rm -rf "$base/apt"
  touch "$root/complete"
}

# Unpacked, the program needs to be told where everything is; and started by the kernel, it would take the system's loader
# and libraries. Tests that want a server of their own start this.
write_program() {
  loader=$(find "$root" -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(find "$root" -name libc.so.6 -exec dirname {} \; | head -n 1)
  program=$(find "$root" -name mysqld -type f | head -n 1)
  cat >"$base/mysqld" <<SH
#!/bin/sh
# The first argument must be --no-defaults.
shift
exec "$loader" --library-path "$libraries" "$program" --no-defaults --basedir="$root/usr" \\
  --lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets" \\
  --plugin-dir="$root/usr/lib/mysql/plugin" --secure-file-priv=NULL "\$@"
SH
  chmod 755 "$base/mysqld"
}

mysqld() {
  exec "$base/mysqld" --no-defaults --user="$(id -un)" --datadir="$data" --log-error="$base/mysqld.log" "$@"
}

running() { [ -f "$base/pid" ] && kill -0 "$(cat "$base/pid")" 2>/dev/null; }

start() {
  mkdir -p -m 700 "$base"
  fetch
  write_program
  if ! running; then
    rm -rf "$data" "$base/mysqld.log"
    (mysqld --initialize-insecure) || { cat "$base/mysqld.log" >&2; exit 1; }
    cat >"$base/init.sql" <<SQL
CREATE DATABASE $user;
CREATE USER $user@'%' IDENTIFIED BY '$user';
GRANT ALL PRIVILEGES ON *.* TO $user@'%' WITH GRANT OPTION;
SQL
    # It does not wait for the disk.
    (mysqld --bind-address=127.0.0.1 --port="$port" --mysqlx=OFF --socket="$base/socket" --pid-file="$base/pid" \
      --tmpdir="$base" --init-file="$base/init.sql" --max-connections=300 --innodb-buffer-pool-size=128M \
      --innodb-flush-log-at-trx-commit=2 --sync-binlog=0 </dev/null >/dev/null 2>&1) &
    tries=0
    until grep -q "ready for connections" "$base/mysqld.log" 2>/dev/null; do
      tries=$((tries + 1))
      if [ "$tries" -gt 600 ] || ! kill -0 $! 2>/dev/null; then
        cat "$base/mysqld.log" >&2
        say "it does not start on port $port"
        exit 1
      fi
      sleep 0.1
    done
  fi
  echo "export TEST_MYSQL=mysql://$user:$user@127.0.0.1:$port/$user"
  echo "export TEST_MYSQLD=$base/mysqld"
}

stop() {
  if running; then kill -9 "$(cat "$base/pid")"; fi
  rm -rf "$data" "$base/pid" "$base/mysqld.log" "$base/socket" "$base/init.sql"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  remove)
    stop
    rm -rf "$base"
    ;;
  *)
    say "start, stop or remove is what it does"
    exit 2
    ;;
esac
