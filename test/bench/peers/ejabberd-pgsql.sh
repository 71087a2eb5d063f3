# ejabberd with its archive in the PostgreSQL at $PGSQL_PORT, whose tables are there. Sourced by run-peers.sh.
. "$HERE/ejabberd/peer.sh"
PACKAGES="$PACKAGES erlang-p1-pgsql"
eval "own_$(declare -f peer_config)"

peer_config() {
    MAM=sql own_peer_config
    sed -i -e '/^sql_database:/d' -e 's/^sql_type: sqlite$/sql_type: pgsql/' "$DIR/ejabberd.yml"
    printf '%s: %s\n' sql_server 127.0.0.1 sql_port "$PGSQL_PORT" sql_database postgres sql_username mongooseim \
        sql_password mongooseim >> "$DIR/ejabberd.yml"
}
peer_extra_pids() { echo ",$PGSQL_PID"; }
