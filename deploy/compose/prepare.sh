#!/bin/sh
# prepare.sh DIR [NAME]: lays out DIR for deploy/compose.yaml: an authority, a certificate, passwords and folders for each service.
# Customers reach the frontend as NAME (localhost). Run it as root, so that each folder belongs to the user of its service.
# What is there stays as it is: run it again to add what is missing, or after removing a certificate that is to be made anew.
set -eu
umask 077
dir=$1 name=${2:-localhost}
[ "$(id -u)" = 0 ] || { echo "prepare.sh: run it as root: the folders are for other users." >&2; exit 1; }
mkdir -p "$dir/authority"
chmod 0711 "$dir"

[ -s "$dir/authority/ca.key" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -days 1825 -subj /CN=keyfleet-ca \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
  -keyout "$dir/authority/ca.key" -out "$dir/authority/ca.crt" 2>/dev/null

# certificate SERVICE NAMES: SERVICE/tls has its certificate for these host names.
certificate() {
  mkdir -p "$dir/$1/tls"
  [ ! -s "$dir/$1/tls/tls.crt" ] || return 0
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$dir/$1/tls/tls.key" -out "$dir/$1/tls/tls.csr" 2>/dev/null
  printf 'subjectAltName=%s\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" >"$dir/$1/tls/extensions"
  openssl x509 -req -in "$dir/$1/tls/tls.csr" -CA "$dir/authority/ca.crt" -CAkey "$dir/authority/ca.key" -CAcreateserial -days 365 \
    -extfile "$dir/$1/tls/extensions" -out "$dir/$1/tls/tls.crt" 2>/dev/null
  rm "$dir/$1/tls/tls.csr" "$dir/$1/tls/extensions"
  cp "$dir/authority/ca.crt" "$dir/$1/tls/ca.crt"
}

# secret FILE...: the same new password in each, if the first is not there.
secret() {
  [ -s "$dir/$1" ] && return 0
  password=p$(openssl rand -hex 32)
  for file in "$@"; do
    mkdir -p "$(dirname "$dir/$file")"
    echo "$password" >"$dir/$file"
  done
}

certificate frontend "DNS:frontend,DNS:localhost,DNS:$name"
for service in hsm-worker-0 hsm-worker-1 domain-manager redis nats operator; do certificate $service "DNS:$service,DNS:localhost"; done

for service in frontend domain-manager; do secret "redis/secrets/$service" "$service/secrets/redis-password"; done
secret redis/secrets/operator operator/redis-password
secret frontend/secrets/nats-password
secret domain-manager/secrets/nats-password
secret hsm-worker-0/secrets/nats-password hsm-worker-1/secrets/nats-password
cat >"$dir/nats/passwords.env" <<END
FRONTEND_PASSWORD=$(cat "$dir/frontend/secrets/nats-password")
HSM_WORKER_PASSWORD=$(cat "$dir/hsm-worker-0/secrets/nats-password")
DOMAIN_MANAGER_PASSWORD=$(cat "$dir/domain-manager/secrets/nats-password")
END
for worker in hsm-worker-0 hsm-worker-1; do
  [ -s "$dir/$worker/secrets/seal-key" ] || openssl rand -base64 32 >"$dir/$worker/secrets/seal-key"
done

mkdir -p "$dir/frontend/data" "$dir/frontend/log" "$dir/hsm-worker-0/data" "$dir/hsm-worker-1/data" "$dir/redis/data" "$dir/nats/data"
chown -R 65532:65532 "$dir/frontend" "$dir/hsm-worker-0" "$dir/hsm-worker-1" "$dir/domain-manager"
chown -R 999:999 "$dir/redis"
chown -R 1000:1000 "$dir/nats"
