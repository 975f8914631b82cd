# ping.sh PORT: whether Redis or its Sentinel answers.
set -eu
answer=$(redis-cli -h 127.0.0.1 -p "$1" --user probe --pass probe --no-auth-warning --tls \
  --cert /run/tls/tls.crt --key /run/tls/tls.key --cacert /run/tls/ca.crt ping)
[ "$answer" = PONG ]
