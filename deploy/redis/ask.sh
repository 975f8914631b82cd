# ask.sh HOST PORT COMMAND...: asks a Redis or a Sentinel as $user, by default as the user sentinel. With $insecure, whatever
# certificate it presents.
set -eu
host=$1 port=$2 user=${user:-sentinel}
shift 2
REDISCLI_AUTH=$(cat "/run/secrets/$user") exec timeout 3 redis-cli --user "$user" -h "$host" -p "$port" --tls \
  --cert /run/tls/tls.crt --key /run/tls/tls.key --cacert /run/tls/ca.crt ${insecure:+--insecure} "$@"
