# users.sh FILE: its users, on, each with the SHA-256 of its password of $secrets, by default /run/secrets, and of another that it
# may have while one takes the place of the other (NAME.also), for a configuration of Redis or Sentinel.
set -eu
secrets=${secrets:-/run/secrets}
grep '^user ' "$1" | while read -r _ name rules; do
  passwords=
  for file in "$secrets/$name" "$secrets/$name.also"; do
    [ ! -s "$file" ] || passwords="$passwords#$(printf %s "$(cat "$file")" | sha256sum | cut -c 1-64) "
  done
  # Without a password, nobody comes in as that user.
  echo "user $name on $passwords$rules"
done
# Nobody can be this user, but as it Redis reads its own append-only file again, and drops the transactions that it may not
# carry out (https://github.com/redis/redis/issues/14541).
echo "user default off resetpass allkeys allchannels allcommands"
