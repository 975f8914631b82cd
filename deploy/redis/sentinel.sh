set -eu
umask 077
name=$HOSTNAME.redis.keyfleet.svc
password=$(cat /run/secrets/sentinel)
{
  cat /etc/redis/sentinel.conf
  sh /etc/redis/users.sh /etc/redis/sentinel-users.acl
  echo "sentinel sentinel-user sentinel"
  echo "sentinel sentinel-pass $password"
  echo "sentinel announce-ip $name"
  echo "sentinel monitor keyfleet $(sh /etc/redis/master.sh) 6379 2"
  echo "sentinel auth-user keyfleet sentinel"
  echo "sentinel auth-pass keyfleet $password"
  echo "sentinel down-after-milliseconds keyfleet 5000"
  echo "sentinel failover-timeout keyfleet 15000"
} >/run/redis/sentinel.conf
exec redis-server /run/redis/sentinel.conf --sentinel
