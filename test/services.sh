#!/bin/sh
# The real services that tests talk to.
#
#   eval "$(test/services.sh start)"   installs what is missing, starts it, prints the variables that tests read
#   test/services.sh stop              stops what was started and removes its data
#
# PostgreSQL listens on 127.0.0.1:54329 and MariaDB on 127.0.0.1:54306, with their data in a temporary directory, beside
# any others. Neither waits for the disk: they are there to try statements on, and for what survives a crash of a server
# (not of the machine). What cannot be had has its tests skipped; with CI=true that is an error. Oracle's MySQL is
# test/mysql9.sh's.
set -eu
# runuser and mariadbd are there, which not every PATH has.
PATH="$PATH:/usr/sbin:/sbin"

user=mongooseim
base="${MONGOOSEIM_TEST_SERVICES:-/tmp/mongooseim-test-services-$(id -u)}"
pgsql_port=54329
pgsql="$base/pgsql"
mysql_port=54306
mysql="$base/mysql"

say() { echo "test/services.sh: $*" >&2; }

missing() {
  say "$1 is not here and cannot be installed: $2"
  if [ "${CI:-}" = true ]; then exit 1; fi
}

# For what a Debian package would do by itself and must not: start a server of its own.
install() {
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
  say "installing $1"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "$1"; } >&2
}

make_base() {
  mkdir -p -m 700 "$base"
  # Its socket is there, and PostgreSQL refuses to run as root.
  if [ "$(id -u)" -eq 0 ] && id postgres >/dev/null 2>&1; then chown postgres "$base"; fi
}

# --- PostgreSQL

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
  if [ "$(id -u)" -eq 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  fi
  install postgresql
}

start_postgres() {
  bin=$(find_postgres) || { install_postgres && bin=$(find_postgres); } ||
    { missing PostgreSQL "install it, or run this as root on Debian"; return; }
  make_base
  if ! unprivileged "$bin/pg_ctl" -D "$pgsql" status >/dev/null 2>&1; then
    rm -rf "$pgsql" "$base/password" "$base/log"
    unprivileged sh -c "echo $user >'$base/password'"
    unprivileged "$bin/initdb" -D "$pgsql" -U "$user" -A scram-sha-256 --pwfile="$base/password" -E UTF8 \
      --locale=C --no-sync >/dev/null
    # The log goes to a file: a server that holds our output would keep $(…) waiting.
    unprivileged "$bin/pg_ctl" -D "$pgsql" -w -t 15 -l "$base/log" \
      -o "-p $pgsql_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$base -c max_connections=200" start >/dev/null ||
      { cat "$base/log" >&2; missing PostgreSQL "it does not start on port $pgsql_port"; return; }
    unprivileged env PGPASSWORD="$user" "$bin/createdb" -h 127.0.0.1 -p "$pgsql_port" -U "$user" "$user"
  fi
  echo "export TEST_PGSQL=postgres://$user:$user@127.0.0.1:$pgsql_port/$user"
}

stop_postgres() {
  if bin=$(find_postgres) && [ -d "$pgsql" ]; then
    unprivileged "$bin/pg_ctl" -D "$pgsql" -m immediate stop >/dev/null 2>&1 || true
  fi
}

# --- MariaDB

have_mariadb() { command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && command -v mariadb-admin >/dev/null; }

# Debian starts a server on port 3306 when it installs one; policy-rc.d is what stops it.
install_mariadb() {
  made=
  if [ "$(id -u)" -eq 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    made=yes
  fi
  installed=0
  install mariadb-server || installed=1
  if [ -n "$made" ]; then rm -f /usr/sbin/policy-rc.d; fi
  return "$installed"
}

mariadb_answers() {
  mariadb-admin --no-defaults --host=127.0.0.1 --port="$mysql_port" --user="$user" --password="$user" ping >/dev/null 2>&1
}

start_mariadb() {
  have_mariadb || { install_mariadb && have_mariadb; } ||
    { missing MariaDB "install it, or run this as root on Debian"; return; }
  make_base
  if ! mariadb_answers; then
    rm -rf "$mysql"
    mkdir -m 700 "$mysql"
    me=$(id -un)
    mariadb-install-db --no-defaults --datadir="$mysql/data" --user="$me" --auth-root-authentication-method=normal \
      --skip-test-db --skip-name-resolve --innodb-flush-method=nosync >"$mysql/log" 2>&1 ||
      { cat "$mysql/log" >&2; missing MariaDB "its data directory cannot be made"; return; }
    cat >"$mysql/init.sql" <<SQL
CREATE DATABASE $user CHARACTER SET utf8mb4;
CREATE USER $user@'%' IDENTIFIED BY '$user';
GRANT ALL PRIVILEGES ON *.* TO $user@'%' WITH GRANT OPTION;
SQL
    # A server that starts deletes the temporary tables of others in its temporary directory.
    mariadbd --no-defaults --datadir="$mysql/data" --tmpdir="$mysql" --user="$me" --bind-address=127.0.0.1 --port="$mysql_port" \
      --socket="$mysql/socket" --pid-file="$mysql/pid" --init-file="$mysql/init.sql" --skip-name-resolve \
      --max-connections=300 --max-allowed-packet=64M --innodb-flush-log-at-trx-commit=2 --innodb-flush-method=nosync \
      --innodb-buffer-pool-size=128M --innodb-doublewrite=0 --performance-schema=OFF </dev/null >"$mysql/log" 2>&1 &
    tries=0
    until mariadb_answers; do
      tries=$((tries + 1))
      if [ "$tries" -gt 150 ] || ! kill -0 $! 2>/dev/null; then
        cat "$mysql/log" >&2
        missing MariaDB "it does not start on port $mysql_port"
        return
      fi
      sleep 0.1
    done
  fi
  echo "export TEST_MYSQL=mysql://$user:$user@127.0.0.1:$mysql_port/$user"
}

stop_mariadb() {
  if [ -f "$mysql/pid" ]; then kill -9 "$(cat "$mysql/pid")" 2>/dev/null || true; fi
}

case "${1:-}" in
  start)
    start_postgres
    start_mariadb
    ;;
  stop)
    stop_postgres
    stop_mariadb
    rm -rf "$base"
    ;;
  *)
    say "start or stop is what it does"
    exit 2
    ;;
esac
