# nats.sh CONFIG: NATS, which reads its configuration and the certificate again whenever the files of the certificate change.
# Files that do not fit together it refuses, and goes on with those before.
content() { cat /run/tls/tls.crt /run/tls/tls.key /run/tls/ca.crt | sha256sum; }
known=$(content)
follow() {
  while sleep 10; do
    now=$(content)
    # NATS, in this shell's place.
    [ "$now" = "$known" ] || kill -HUP 1
    known=$now
  done
}
follow &
exec nats-server --config "$1"
