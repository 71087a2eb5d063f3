// The configuration of a server that was given no file. dist/mongooseim.toml is the same text, for packagers (a test
// compares them); it is kept here because vitest cannot import TOML as text.

/** The text of the embedded configuration. */
export const DEFAULT_TEXT = `# The configuration that mongooseimctl runs with when it is given none.
# A changed copy is checked by: mongooseimctl config check FILE

[general]
  hosts = ["localhost"]
  default_server_domain = "localhost"
  loglevel = "warning"

# Clients. max_..._per_minute is for one address: take it out where many users come through one, such as a load balancer.
# Without certfile and keyfile a self-signed certificate is made in the state directory.
[[listen.c2s]]
  port = 5222
  access = "c2s"
  shaper = "normal"
  max_stanza_size = 65_536
  max_connections_per_minute = 600
  max_failed_logins_per_minute = 60
  tls.mode = "starttls_required"
  tls.verify_mode = "none"

[[listen.c2s]]
  port = 5223
  access = "c2s"
  shaper = "normal"
  max_stanza_size = 65_536
  max_connections_per_minute = 600
  max_failed_logins_per_minute = 60
  tls.mode = "tls"
  tls.verify_mode = "none"

# WebSocket in clear, for a proxy or a page on this machine.
[[listen.http]]
  port = 5280
  ip_address = "127.0.0.1"

  [[listen.http.handlers.mongoose_websocket_handler]]
    host = "_"
    path = "/ws-xmpp"
    max_stanza_size = 65_536
    ping_rate = 30_000

# WebSocket over TLS.
[[listen.http]]
  port = 5285
  tls.verify_mode = "none"

  [[listen.http.handlers.mongoose_websocket_handler]]
    host = "_"
    path = "/ws-xmpp"
    max_stanza_size = 65_536
    max_connections_per_minute = 600
    max_failed_logins_per_minute = 60
    ping_rate = 30_000

# GraphQL for administrators. Without a configuration file its user is "admin", with the password in the file
# graphql-admin-password of the state directory. In a file of your own set username and password here: without them
# everybody on this machine is an administrator.
[[listen.http]]
  port = 5551
  ip_address = "127.0.0.1"

  [[listen.http.handlers.mongoose_graphql_handler]]
    host = "_"
    path = "/api/graphql"
    schema_endpoint = "admin"

[[listen.http]]
  port = 9091
  ip_address = "127.0.0.1"

  [[listen.http.handlers.mongoose_prometheus_handler]]
    host = "_"
    path = "/metrics"

# Accounts in the embedded store.
[auth]
  methods = ["internal"]

  [auth.internal]

[instrumentation.prometheus]

[modules.mod_adhoc]
[modules.mod_bind2]
[modules.mod_blocking]
[modules.mod_cache_users]
[modules.mod_caps]
[modules.mod_carboncopy]
[modules.mod_csi]
[modules.mod_disco]
  users_can_see_hidden_services = false
[modules.mod_fast_auth_token]
[modules.mod_last]
[modules.mod_offline]
[modules.mod_ping]
[modules.mod_presence]
[modules.mod_privacy]
[modules.mod_private]
[modules.mod_pubsub]

# Accounts are made over XMPP from this machine only; elsewhere use mongooseimctl.
[modules.mod_register]
  access = "register"
  ip_access = [
    {address = "127.0.0.0/8", policy = "allow"},
    {address = "::1", policy = "allow"},
    {address = "0.0.0.0/0", policy = "deny"},
    {address = "::/0", policy = "deny"},
  ]

[modules.mod_roster]
[modules.mod_sasl2]
[modules.mod_sic]
[modules.mod_stanzaid]
[modules.mod_stream_management]
[modules.mod_time]
[modules.mod_vcard]
[modules.mod_version]

# Bytes a second that one connection may send.
[shaper.normal]
  max_rate = 16_384

[shaper.fast]
  max_rate = 50_000

# Name classes of users here, for the rules below: admin = [{user = "alice"}]
[acl]
  admin = []
  blocked = []

[access]
  c2s = [
    {acl = "blocked", value = "deny"},
    {acl = "all", value = "allow"},
  ]

  register = [
    {acl = "all", value = "allow"},
  ]

  max_user_sessions = [
    {acl = "all", value = 10},
  ]

  max_user_offline_messages = [
    {acl = "admin", value = 5000},
    {acl = "all", value = 100},
  ]
`;
