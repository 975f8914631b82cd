# reload.sh [COMMAND...]: whenever the files of the certificate change, has the Redis of this Pod read them again, and then
# carries COMMAND out. Files that do not fit together Redis refuses, and goes on with those before: they are tried again.
files="tls-cert-file /run/tls/tls.crt tls-key-file /run/tls/tls.key tls-ca-cert-file /run/tls/ca.crt"
content() { cat /run/tls/tls.crt /run/tls/tls.key /run/tls/ca.crt | sha256sum; }
known=$(content)
while sleep 10; do
  now=$(content)
  [ "$now" != "$known" ] || continue
  # This Redis still presents the one before, which may have ended.
  # shellcheck disable=SC2086
  answer=$(user=operator insecure=1 sh /etc/redis/ask.sh 127.0.0.1 6379 config set $files 2>&1)
  [ "$answer" = OK ] || { echo "reload.sh: Redis has not taken the new certificate: $answer" && continue; }
  known=$now
  "$@"
done
