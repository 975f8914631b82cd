# Prints the master's name: the one that a Sentinel names, else, before there is any, the first Pod's.
for pod in redis-0 redis-1 redis-2; do
  master=$(sh /etc/redis/ask.sh "$pod.redis.keyfleet.svc" 26379 sentinel get-master-addr-by-name keyfleet 2>/dev/null | head -n 1)
  case $master in *.redis.keyfleet.svc) echo "$master" && exit ;; esac
done
echo redis-0.redis.keyfleet.svc
