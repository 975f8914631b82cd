# Before a master stops: a replica becomes the master now, and not when the Sentinels have missed this one. Writes wait
# from here on, for one that only the other replica has would be lost; after that, this Redis must stop.
set -eu
others=$(printf 'redis-%s\n' 0 1 2 | grep -vx "$HOSTNAME")
of() { sh /etc/redis/ask.sh "$1" 6379 info replication | tr -d '\r' | sed -n "s/^$2://p"; }
sentinel() { sh /etc/redis/ask.sh "$1.redis.keyfleet.svc" 26379 sentinel "$2" keyfleet; }
# within SECONDS COMMAND...: until it succeeds.
within() {
  end=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.1
  done
}
have_all() {
  for pod in $others; do [ "$(of "$pod.redis.keyfleet.svc" slave_repl_offset || true)" -ge "$offset" ] || return 1; done
}
begin() {
  for pod in $others; do [ "$(sentinel "$pod" failover)" != OK ] || return 0; done
  return 1
}
know() {
  for pod in $others; do
    case $(sentinel "$pod" get-master-addr-by-name) in "$HOSTNAME".* | '') return 1 ;; esac
  done
}

[ "$(of 127.0.0.1 role)" = master ] || exit 0
sh /etc/redis/ask.sh 127.0.0.1 6379 client pause 30000 write
offset=$(of 127.0.0.1 master_repl_offset)
within 5 have_all
within 5 begin
within 10 know
