// Package torture runs several nodes of the built program on one PostgreSQL and one Redis,
// drives them as identity providers, applications and browsers do, breaks what connects
// them, and judges what everybody saw (internal/history). It has tests only, behind the
// build tag lanes: `make torture-short`, which `make test` runs, and `make torture`.
package torture
