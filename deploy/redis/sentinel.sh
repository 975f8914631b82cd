set -eu
umask 077
# As redis.sh.
trap exit TERM
name=$HOSTNAME.redis.keyfleet.svc
password=$(cat /run/secrets/sentinel)
# Who is the master, and what it has voted for, outlives the Pod: Sentinel rewrites its file when either changes. Nobody else than
# our own Pods: whoever has the replicas' password can have a Sentinel know a replica, a Sentinel or a master of his, for ever, or
# an epoch after which there is no other.
known=$(grep -sE '^sentinel (myid .*|(config-epoch keyfleet|leader-epoch keyfleet|current-epoch) [0-9]{1,9}|(monitor|known-replica|known-sentinel) keyfleet redis-[0-2][.]redis[.]keyfleet[.]svc .*)$' /data/sentinel.conf || true)
case $known in
  *'sentinel monitor '*) ;;
  *)
    sh /etc/redis/master.sh >/run/redis/sentinel-master & wait $!
    known="$(echo "$known" | grep -v known-replica || true)
sentinel monitor keyfleet $(cat /run/redis/sentinel-master) 6379 2"
    ;;
esac
{
  cat /etc/redis/sentinel.conf
  sh /etc/redis/users.sh /etc/redis/sentinel-users.acl
  echo "sentinel sentinel-user sentinel"
  echo "sentinel sentinel-pass $password"
  echo "sentinel announce-ip $name"
  echo "$known"
  echo "sentinel auth-user keyfleet sentinel"
  echo "sentinel auth-pass keyfleet $password"
  echo "sentinel down-after-milliseconds keyfleet 5000"
  # Where two Sentinels vote at once, each for itself, nobody is elected, and none tries again before twice this. With 4 s a
  # failover takes 19 s then, at most: 6 to see that the master is down, 1 by chance, 8, and 1 + 3 to elect and promote. It is
  # also what an election or a promotion may take before it is given up, and tried again: each takes about a second.
  echo "sentinel failover-timeout keyfleet 4000"
} >/data/sentinel.conf.new
mv /data/sentinel.conf.new /data/sentinel.conf
# A Sentinel reads its certificate at a start alone: kubelet starts it anew, once Redis has shown that the new one can be used.
sh /etc/redis/reload.sh kill 1 &
exec redis-server /data/sentinel.conf --sentinel
