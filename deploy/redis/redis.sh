set -eu
umask 077
name=$HOSTNAME.redis.keyfleet.svc
master=$(sh /etc/redis/master.sh)
{
  cat /etc/redis/redis.conf /etc/redis/replicated.conf
  sh /etc/redis/users.sh /etc/redis/users.acl
  echo "masteruser replica"
  echo "masterauth $(cat /run/secrets/replica)"
  echo "replica-announce-ip $name"
  [ "$master" = "$name" ] || echo "replicaof $master 6379"
} >/run/redis/redis.conf
exec redis-server /run/redis/redis.conf
