#!/usr/bin/env bash
# Prepares this folder for `docker-compose up`: .env, passwords of the databases, and the first users of the proxy.
# It keeps what is there. Needs openssl.
set -euo pipefail
cd "$(dirname "$0")"
umask 077

if [ ! -e .env ]; then
  cp .env.example .env
  {
    echo
    echo '# Completed by setup.sh: this folder, and the group that owns the socket of the Docker engine.'
    echo "ETL_ASSETS_DOCKER_DIR=$PWD"
    echo "DOCKER_GID=$(stat -c %g /var/run/docker.sock)"
  } >>.env
fi

# The folder is closed to other accounts of this machine. The files are open to the users of the containers.
mkdir -p secrets/code team
chmod 700 secrets
chmod 755 secrets/code team
for name in postgres migrator maintainer reviewer reader metrics code/loader code/dagster; do
  file=secrets/${name}_password
  [ -s "$file" ] || openssl rand -hex 24 >"$file"
done
if [ ! -s secrets/operators ]; then
  password=$(openssl rand -hex 12)
  printf 'admin:%s\n' "$(openssl passwd -apr1 "$password")" >secrets/operators
  cp secrets/operators secrets/viewers
  echo "User admin, password $password. It is shown once; change it with: docker/setup.sh --user NAME"
fi
if [ "${1:-}" = --user ]; then
  name=${2:?Name the user: setup.sh --user NAME}
  password=$(openssl rand -hex 12)
  for file in secrets/operators secrets/viewers; do
    { grep -v "^$name:" "$file" || :; printf '%s:%s\n' "$name" "$(openssl passwd -apr1 "$password")"; } >"$file.new"
    cat "$file.new" >"$file"
    rm "$file.new"
  done
  echo "User $name, password $password. The proxy accepts it at once."
fi
touch secrets/tls_certificate secrets/tls_key
find secrets -type f -exec chmod 644 {} +
echo 'Ready: docker-compose build && docker-compose up -d'
