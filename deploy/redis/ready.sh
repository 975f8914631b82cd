# Whether Redis answers and, unless it is the master, has all that the master has: until then, no other may stop.
set -eu
sh /etc/redis/ping.sh 6379
sh /etc/redis/ask.sh 127.0.0.1 6379 info replication | tr -d '\r' | grep -qxE 'role:master|master_link_status:up'
