-- The bridges' own role: it owns its database and needs no more. A superuser would not be bound
-- by row-level security. The password is the demo's alone; docker-compose.yml tells it to the bridges.
create role drawbridge login password 'postgres-of-the-demo-only';
create database drawbridge owner drawbridge encoding 'UTF8' template template0;
