package bridge_test

import (
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

type (
	ruleSource = mapping.RuleSource
	connection = access.Connection
)

func userName(i int) string   { return fmt.Sprintf("p%04d@banksia.example", i) }
func externalID(i int) string { return fmt.Sprintf("oid-%04d", i) }
