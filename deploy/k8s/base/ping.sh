# ping.sh PORT: whether Redis or its Sentinel answers.
set -eu
answer=$(REDISCLI_AUTH=$(cat /run/secrets/redis-password) redis-cli -h 127.0.0.1 -p "$1" --tls --sni "$HOSTNAME.redis.keyfleet.svc" \
  --cert /run/tls/tls.crt --key /run/tls/tls.key --cacert /run/tls/ca.crt ping)
[ "$answer" = PONG ]
