set -eu
umask 077
name=$HOSTNAME.redis.keyfleet.svc
password=$(cat /run/secrets/redis-password)
master=$(sh /etc/redis/master.sh)
{
  cat /etc/redis/redis.conf
  echo "requirepass $password"
  echo "masterauth $password"
  echo "replica-announce-ip $name"
  [ "$master" = "$name" ] || echo "replicaof $master 6379"
} >/run/redis/redis.conf
exec redis-server /run/redis/redis.conf
