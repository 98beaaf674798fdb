-- PostgreSQL's image runs this once, when the volume is new. The servers' role owns one database, and is no superuser.
\getenv password VAULT_PASSWORD
CREATE ROLE vault LOGIN PASSWORD :'password';
CREATE DATABASE vault OWNER vault TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';
REVOKE ALL ON DATABASE vault FROM PUBLIC;
