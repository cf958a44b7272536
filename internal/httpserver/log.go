package httpserver

import (
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// NewLogger writes one JSON object a line at that level ("debug", "info", "warn" or
// "error"). What must not be printed is hidden by its type: a secret.String is
// [redacted] in every encoder, and there is no other way to log one.
func NewLogger(w io.Writer, level string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fault.New(fault.Invalid, "httpserver.NewLogger", "log level is debug, info, warn or error, not %q", level)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(w)), at)
	return zap.New(core), nil
}

// Secret is a log field for a secret: it says that there was one, and no more.
func Secret(key string, s secret.String) zap.Field { return zap.Stringer(key, s) }
