# Prosody with its archive in the PostgreSQL at $PGSQL_PORT. Sourced by run-peers.sh.
. "$HERE/prosody/peer.sh"
PACKAGES="$PACKAGES lua-dbi-postgresql"
eval "own_$(declare -f peer_config)"

peer_config() {
    MAM=sql own_peer_config
    sed -i "s/^sql = .*/sql = { driver = \"PostgreSQL\", host = \"127.0.0.1\", port = $PGSQL_PORT, database = \"postgres\", \
username = \"mongooseim\", password = \"mongooseim\" }/" "$DIR/prosody.cfg.lua"
}
peer_extra_pids() { echo ",$PGSQL_PID"; }
