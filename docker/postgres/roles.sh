#!/usr/bin/env bash
# Creates the roles and databases, once, when the server's data are made. The passwords are in files of /run/secrets.
set -euo pipefail

password() {
  cat "/run/secrets/$1_password"
}

psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres \
  -v migrator="$(password migrator)" -v loader="$(password loader)" -v dagster="$(password dagster)" \
  -v reviewer="$(password reviewer)" -v reader="$(password reader)" \
  -v metrics="$(password metrics)" -v maintainer="$(password maintainer)" <<'SQL'
CREATE ROLE etl_migrator LOGIN PASSWORD :'migrator';
CREATE ROLE etl_loader LOGIN PASSWORD :'loader';
CREATE ROLE etl_dagster LOGIN PASSWORD :'dagster';
CREATE ROLE etl_reviewer LOGIN PASSWORD :'reviewer';
CREATE ROLE etl_reader LOGIN PASSWORD :'reader';
CREATE ROLE etl_metrics LOGIN PASSWORD :'metrics';
CREATE ROLE etl_maintainer LOGIN PASSWORD :'maintainer' IN ROLE etl_migrator, etl_loader;
CREATE ROLE etl_assets_reader;
CREATE DATABASE warehouse OWNER etl_migrator;
CREATE DATABASE warehouse_dagster OWNER etl_dagster;
REVOKE CONNECT, TEMPORARY ON DATABASE warehouse FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE warehouse_dagster FROM PUBLIC;
\connect warehouse_dagster
ALTER DEFAULT PRIVILEGES FOR ROLE etl_dagster IN SCHEMA public GRANT SELECT ON TABLES TO etl_metrics;
\connect warehouse
CREATE SCHEMA core AUTHORIZATION etl_loader;
GRANT USAGE ON SCHEMA core TO etl_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE etl_loader IN SCHEMA core GRANT SELECT ON TABLES TO etl_reader;
SQL
