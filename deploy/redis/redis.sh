set -eu
umask 077
# The first process of a container gets no signal that it does not ask for, and a shell heeds none before its command has ended.
trap exit TERM
name=$HOSTNAME.redis.keyfleet.svc
ask() { sh /etc/redis/ask.sh "$@" 2>/dev/null || true; }
has_data() { [ -n "$(find /data/appendonlydir -type f -size +512c 2>/dev/null)" ]; }
# Whether Sentinels know of replicas, and this volume of no Redis: it is another than the master had.
is_emptied() {
  [ ! -e /data/appendonlydir ] || return 1
  for pod in redis-0 redis-1 redis-2; do
    [ -z "$(ask "$pod.redis.keyfleet.svc" 26379 sentinel replicas keyfleet)" ] || return 0
  done
  return 1
}
# No Redis answers before the master does: Sentinels would promote one that just started, whatever it has missed. And none that
# is empty is followed, which would empty all: not where it is to be the master, and not by one that has data.
while :; do
  sh /etc/redis/master.sh >/run/redis/master & wait $!
  master=$(cat /run/redis/master)
  if [ "$master" = "$name" ]; then
    is_emptied || break
  elif [ "$(ask "$master" 6379 ping)" = PONG ]; then
    has_data && ! ask "$master" 6379 info keyspace | grep -q '^db0:' || break
  else
    sleep 1
    continue
  fi
  echo "The master of Redis, $master, has lost its volume: docs/kubernetes.md, \"The master of Redis is lost, and all were down\"."
  sleep 9
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
