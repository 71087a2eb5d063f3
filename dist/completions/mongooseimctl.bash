# bash completion for mongooseimctl
_mongooseimctl() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" first="" second="" list="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      --state-dir|--config) i=$((i + 1)) ;;
      -*) ;;
      *) if [[ -z $first ]]; then first="${COMP_WORDS[i]}"; elif [[ -z $second ]]; then second="${COMP_WORDS[i]}"; fi ;;
    esac
  done
  case "$prev" in
    --state-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
    --config|check) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  case "$first:$second" in
    ':') list='--state-dir --config start foreground stop force_stop restart status started stopped graphql config schema backup completion print_install_dir version account blocklist broadcast domain gdpr inbox invite last metric offline private report retention roster server session stanza stat token vcard' ;;
    'config:') list='check' ;;
    'schema:') list='check upgrade' ;;
    'backup:') list='create verify restore' ;;
    'completion:') list='bash zsh fish' ;;
    'account:') list='banUser changeUserPassword checkPassword checkPasswordHash checkUser countUsers importUsers listUsers registerUser removeUser' ;;
    'account:banUser') list='--user --reason --help' ;;
    'account:changeUserPassword') list='--user --newPassword --help' ;;
    'account:checkPassword') list='--user --password --help' ;;
    'account:checkPasswordHash') list='--user --passwordHash --hashMethod --help' ;;
    'account:checkUser') list='--user --help' ;;
    'account:countUsers') list='--domain --help' ;;
    'account:importUsers') list='--filename --help' ;;
    'account:listUsers') list='--domain --limit --index --help' ;;
    'account:registerUser') list='--domain --username --password --help' ;;
    'account:removeUser') list='--user --help' ;;
    'blocklist:') list='addUser listBlockedUsers removeUser userCount' ;;
    'blocklist:addUser') list='--user --reason --help' ;;
    'blocklist:listBlockedUsers') list='--domain --limit --index --help' ;;
    'blocklist:removeUser') list='--user --help' ;;
    'blocklist:userCount') list='--domain --help' ;;
    'broadcast:') list='abortBroadcast deleteInactiveBroadcastsByDomain deleteInactiveBroadcastsByIds getBroadcast getBroadcasts startBroadcast' ;;
    'broadcast:abortBroadcast') list='--domain --id --help' ;;
    'broadcast:deleteInactiveBroadcastsByDomain') list='--domain --help' ;;
    'broadcast:deleteInactiveBroadcastsByIds') list='--domain --ids --help' ;;
    'broadcast:getBroadcast') list='--domain --id --help' ;;
    'broadcast:getBroadcasts') list='--domain --limit --index --help' ;;
    'broadcast:startBroadcast') list='--name --domain --messageSubject --messageBody --senderJid --messageRate --recipientGroup --help' ;;
    'domain:') list='addDomain allDomains deleteDomainPassword disableDomain domainDetails domainsByHostType enableDomain removeDomain requestRemoveDomain setDomainPassword' ;;
    'domain:addDomain') list='--domain --hostType --help' ;;
    'domain:allDomains') list='--help' ;;
    'domain:deleteDomainPassword') list='--domain --help' ;;
    'domain:disableDomain') list='--domain --help' ;;
    'domain:domainDetails') list='--domain --help' ;;
    'domain:domainsByHostType') list='--hostType --help' ;;
    'domain:enableDomain') list='--domain --help' ;;
    'domain:removeDomain') list='--domain --hostType --help' ;;
    'domain:requestRemoveDomain') list='--domain --hostType --help' ;;
    'domain:setDomainPassword') list='--domain --password --help' ;;
    'gdpr:') list='retrievePersonalData' ;;
    'gdpr:retrievePersonalData') list='--username --domain --resultFilepath --help' ;;
    'inbox:') list='flushDomainBin flushGlobalBin flushUserBin' ;;
    'inbox:flushDomainBin') list='--domain --days --help' ;;
    'inbox:flushGlobalBin') list='--hostType --days --help' ;;
    'inbox:flushUserBin') list='--user --days --help' ;;
    'invite:') list='createInvite listInvites revokeInvite' ;;
    'invite:createInvite') list='--domain --inviter --username --uses --days --help' ;;
    'invite:listInvites') list='--domain --inviter --limit --index --help' ;;
    'invite:revokeInvite') list='--domain --id --help' ;;
    'last:') list='countActiveUsers getLast listOldUsers removeOldUsers setLast' ;;
    'last:countActiveUsers') list='--domain --timestamp --help' ;;
    'last:getLast') list='--user --help' ;;
    'last:listOldUsers') list='--domain --timestamp --help' ;;
    'last:removeOldUsers') list='--domain --timestamp --help' ;;
    'last:setLast') list='--user --timestamp --status --help' ;;
    'metric:') list='getClusterMetricsAsDicts getMetrics getMetricsAsDicts' ;;
    'metric:getClusterMetricsAsDicts') list='--name --keys --nodes --help' ;;
    'metric:getMetrics') list='--name --help' ;;
    'metric:getMetricsAsDicts') list='--name --keys --help' ;;
    'offline:') list='deleteExpiredMessages deleteOldMessages' ;;
    'offline:deleteExpiredMessages') list='--domain --help' ;;
    'offline:deleteOldMessages') list='--domain --days --help' ;;
    'private:') list='getPrivate setPrivate' ;;
    'private:getPrivate') list='--user --element --nameSpace --help' ;;
    'private:setPrivate') list='--user --elementString --help' ;;
    'report:') list='countReports deleteOldReports deleteReport listReports' ;;
    'report:countReports') list='--domain --reporter --reported --help' ;;
    'report:deleteOldReports') list='--domain --before --help' ;;
    'report:deleteReport') list='--domain --id --help' ;;
    'report:listReports') list='--domain --reporter --reported --limit --index --help' ;;
    'retention:') list='run' ;;
    'retention:run') list='--domain --dryRun --help' ;;
    'roster:') list='addContact addContacts deleteContact deleteContacts getContact listContacts setMutualSubscription subscribeAllToAll subscribeToAll subscription' ;;
    'roster:addContact') list='--user --contact --name --groups --help' ;;
    'roster:addContacts') list='--user --contacts --help' ;;
    'roster:deleteContact') list='--user --contact --help' ;;
    'roster:deleteContacts') list='--user --contacts --help' ;;
    'roster:getContact') list='--user --contact --help' ;;
    'roster:listContacts') list='--user --help' ;;
    'roster:setMutualSubscription') list='--userA --userB --action --help' ;;
    'roster:subscribeAllToAll') list='--contacts --help' ;;
    'roster:subscribeToAll') list='--user --contacts --help' ;;
    'roster:subscription') list='--user --contact --action --help' ;;
    'server:') list='getCookie getLoglevel globalInfo hostTypes joinCluster leaveCluster removeFromCluster removeNode restart setLoglevel status stop' ;;
    'server:getCookie') list='--help' ;;
    'server:getLoglevel') list='--help' ;;
    'server:globalInfo') list='--help' ;;
    'server:hostTypes') list='--help' ;;
    'server:joinCluster') list='--node --help' ;;
    'server:leaveCluster') list='--help' ;;
    'server:removeFromCluster') list='--node --help' ;;
    'server:removeNode') list='--node --help' ;;
    'server:restart') list='--help' ;;
    'server:setLoglevel') list='--level --help' ;;
    'server:status') list='--help' ;;
    'server:stop') list='--help' ;;
    'session:') list='countSessions countUserResources countUsersWithStatus getUserResource kickUser kickUserSession listSessions listUserSessions listUsersWithStatus setPresence' ;;
    'session:countSessions') list='--domain --help' ;;
    'session:countUserResources') list='--user --help' ;;
    'session:countUsersWithStatus') list='--domain --status --help' ;;
    'session:getUserResource') list='--user --number --help' ;;
    'session:kickUser') list='--user --reason --help' ;;
    'session:kickUserSession') list='--user --reason --help' ;;
    'session:listSessions') list='--domain --help' ;;
    'session:listUserSessions') list='--user --help' ;;
    'session:listUsersWithStatus') list='--domain --status --help' ;;
    'session:setPresence') list='--user --type --show --status --priority --help' ;;
    'stanza:') list='getLastMessages sendMessage sendMessageHeadLine sendStanza subscribeForMessages' ;;
    'stanza:getLastMessages') list='--caller --with --limit --before --help' ;;
    'stanza:sendMessage') list='--from --to --body --help' ;;
    'stanza:sendMessageHeadLine') list='--from --to --subject --body --help' ;;
    'stanza:sendStanza') list='--stanza --help' ;;
    'stanza:subscribeForMessages') list='--caller --help' ;;
    'stat:') list='domainStats globalStats' ;;
    'stat:domainStats') list='--domain --help' ;;
    'stat:globalStats') list='--help' ;;
    'token:') list='requestToken revokeToken' ;;
    'token:requestToken') list='--user --help' ;;
    'token:revokeToken') list='--user --help' ;;
    'vcard:') list='getVcard setVcard' ;;
    'vcard:getVcard') list='--user --help' ;;
    'vcard:setVcard') list='--user --vcard --help' ;;
  esac
  case "$first:$second:$prev" in
    'broadcast:startBroadcast:--recipientGroup') list='ALL_USERS_IN_DOMAIN' ;;
    'roster:setMutualSubscription:--action') list='CONNECT DISCONNECT' ;;
    'roster:subscription:--action') list='INVITE ACCEPT DECLINE CANCEL' ;;
    'server:setLoglevel:--level') list='NONE EMERGENCY ALERT CRITICAL ERROR WARNING NOTICE INFO DEBUG ALL' ;;
    'session:setPresence:--type') list='AVAILABLE ERROR PROBE SUBSCRIBE SUBSCRIBED UNAVAILABLE UNSUBSCRIBE UNSUBSCRIBED' ;;
    'session:setPresence:--show') list='ONLINE AWAY CHAT DND XA' ;;
  esac
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -F _mongooseimctl mongooseimctl
