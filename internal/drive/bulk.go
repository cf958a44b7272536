package drive

import "context"

func (d *Drive) initialInBulk(ctx context.Context, cancel context.CancelCauseFunc) error {
	return ErrNoBulk
}
