package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// ApplyPolicy is the unreviewed way, by the name that tests know it by.
func (b *Bridge) ApplyPolicy(ctx context.Context, src mapping.PolicySource) (Applied, error) {
	return b.InsecureApplyUnreviewed(ctx, src)
}
