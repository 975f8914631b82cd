# Prints the master's name: the one that two Sentinels name, for one alone may have missed that another took over. Only where no
# Sentinel has ever stood, at the first start, it is the one that any of them names, else the first Pod's.
named() {
  for pod in redis-0 redis-1 redis-2; do
    sh /etc/redis/ask.sh "$pod.redis.keyfleet.svc" 26379 sentinel get-master-addr-by-name keyfleet 2>/dev/null | grep '\.redis\.keyfleet\.svc$' || true
  done
}
while :; do
  names=$(named)
  master=$(echo "$names" | sort | uniq -d)
  [ -n "$master" ] || [ -e /data/sentinel.conf ] || master=$(echo "${names:-redis-0.redis.keyfleet.svc}" | head -n 1)
  [ -z "$master" ] || break
  sleep 1
done
echo "$master"
