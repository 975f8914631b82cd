# users.sh FILE: its users, on, each with the SHA-256 of its password of /run/secrets, for a configuration of Redis or Sentinel.
set -eu
grep '^user ' "$1" | while read -r _ name rules; do
  digest=
  [ ! -s "/run/secrets/$name" ] || digest=$(printf %s "$(cat "/run/secrets/$name")" | sha256sum | cut -c 1-64)
  # Without a password, nobody comes in as that user.
  echo "user $name on ${digest:+#$digest }$rules"
done
# Nobody can be this user, but as it Redis reads its own append-only file again, and drops the transactions that it may not
# carry out (https://github.com/redis/redis/issues/14541).
echo "user default off resetpass allkeys allchannels allcommands"
