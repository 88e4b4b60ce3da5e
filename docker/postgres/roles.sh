#!/usr/bin/env bash
# Creates the roles and databases, once, when the server's data are made. The passwords are in files of /run/secrets.
set -euo pipefail

password() {
  cat "/run/secrets/$1_password"
}

psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres \
  -v migrator="$(password migrator)" -v loader="$(password loader)" -v dagster="$(password dagster)" \
  -v reviewer="$(password reviewer)" -v reader="$(password reader)" <<'SQL'
CREATE ROLE etl_migrator LOGIN CREATEROLE PASSWORD :'migrator';
CREATE ROLE etl_loader LOGIN PASSWORD :'loader';
CREATE ROLE etl_dagster LOGIN PASSWORD :'dagster';
CREATE ROLE etl_reviewer LOGIN PASSWORD :'reviewer';
CREATE ROLE etl_reader LOGIN PASSWORD :'reader';
CREATE DATABASE warehouse OWNER etl_migrator;
CREATE DATABASE warehouse_dagster OWNER etl_dagster;
REVOKE CONNECT, TEMPORARY ON DATABASE warehouse FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE warehouse_dagster FROM PUBLIC;
GRANT CONNECT ON DATABASE warehouse TO etl_loader, etl_reviewer, etl_reader;
SQL
