# Redis on one machine: no replica, no Sentinel.
set -eu
umask 077
{
  cat /etc/redis/redis.conf
  sh /etc/redis/users.sh /etc/redis/users.acl
} >/run/redis/redis.conf
sh /etc/redis/reload.sh &
exec redis-server /run/redis/redis.conf
