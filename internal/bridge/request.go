package bridge

import "context"

type requestKey struct{}

// WithRequestID puts the id of the request that asks for a use case where its
// audit rows find it. It decides nothing.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the id that WithRequestID put there, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
