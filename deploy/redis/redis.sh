set -eu
umask 077
# The first process of a container gets no signal that it does not ask for.
trap exit TERM
name=$HOSTNAME.redis.keyfleet.svc
# No Redis answers before the master does: Sentinels would promote one that just started, whatever it has missed.
while :; do
  master=$(sh /etc/redis/master.sh)
  [ "$master" != "$name" ] || break
  [ "$(sh /etc/redis/ask.sh "$master" 6379 ping || true)" != PONG ] || break
  sleep 1
done
{
  cat /etc/redis/redis.conf /etc/redis/replicated.conf
  # What Redis writes to its file anew, and what waits for its replicas, takes memory beside what is stored.
  echo "maxmemory $((MEMORY_LIMIT / 4 * 3))"
  sh /etc/redis/users.sh /etc/redis/users.acl
  echo "masteruser replica"
  echo "masterauth $(cat /run/secrets/replica)"
  echo "replica-announce-ip $name"
  [ "$master" = "$name" ] || echo "replicaof $master 6379"
} >/run/redis/redis.conf
sh /etc/redis/reload.sh &
exec redis-server /run/redis/redis.conf
