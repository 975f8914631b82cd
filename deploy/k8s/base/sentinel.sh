set -eu
umask 077
name=$HOSTNAME.redis.keyfleet.svc
password=$(cat /run/secrets/redis-password)
{
  cat /etc/redis/sentinel.conf
  echo "requirepass $password"
  echo "sentinel sentinel-pass $password"
  echo "sentinel announce-ip $name"
  echo "sentinel monitor keyfleet $(sh /etc/redis/master.sh) 6379 2"
  echo "sentinel auth-pass keyfleet $password"
  echo "sentinel down-after-milliseconds keyfleet 5000"
  echo "sentinel failover-timeout keyfleet 15000"
} >/run/redis/sentinel.conf
exec redis-server /run/redis/sentinel.conf --sentinel
