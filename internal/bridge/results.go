package bridge

import (
	"context"
	"net/http"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
	"github.com/drawbridge-id/drawbridge/scim"
)

// results keeps what became of one connection's asynchronous requests, for whoever
// brings a credential of the same connection.
type results struct {
	b    *Bridge
	conn access.ConnectionID
}

// Keep writes a result down as the signal that says it. The transaction is named by the
// request, as in the signals that others get of it.
func (r results) Keep(ctx context.Context, done scim.Result) (string, error) {
	now, txn := r.b.now(), RequestID(ctx)
	if txn == "" {
		txn = credential.NewID("txn")
	}
	says := ssf.SCIMDone{Method: done.Method, Version: done.Version, Status: strconv.Itoa(done.Status)}
	if done.Method == http.MethodPost {
		says.Location = r.b.url + scim.Prefix + string(r.conn) + done.Path
	}
	body, err := ssf.SET{Issuer: r.b.url, Audience: string(r.conn), JTI: credential.NewID("set"), IssuedAt: now, Txn: txn, Subject: ssf.SCIMResource(done.Path, ""), Type: ssf.SCIMAsync, Event: says}.Claims()
	if err != nil {
		return "", edge(err)
	}
	err = r.b.store.UpdateFor(ctx, r.conn, func(tx *store.Tx) error {
		dir, err := tx.In(r.conn)
		if err != nil {
			return err
		}
		return dir.PutSCIMResult(store.SCIMResult{Txn: txn, Body: body, At: now})
	})
	return txn, edge(err)
}

// Token signs a result with the key of this moment.
func (r results) Token(ctx context.Context, txn string) (token string, err error) {
	var found store.SCIMResult
	err = r.b.read(ctx, r.conn, func(dir *store.Directory) (err error) {
		found, err = dir.SCIMResult(txn)
		return err
	})
	if err == nil {
		token, err = r.b.signSignal(store.Delivery{Body: found.Body})
	}
	return token, edgeID(err, txn)
}
