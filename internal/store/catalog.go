package store

// Catalog is how an engine tells what tables it keeps, without those that migrations are
// recorded in. Texts are statements without parameters.
type Catalog struct {
	// Columns lists table, column, kind (integer, boolean, text or bytes; anything else is not
	// known) and place in the primary key (0: it is not in it), table by table in their order.
	Columns string
	// References lists pairs of tables: one whose rows name rows of the other.
	References string
	// Counters lists the tables whose keys are never given twice, each with the column and the
	// last key that was given.
	Counters string
	// Count makes such a table go on behind a key.
	Count func(q Querier, table, column string, last int64) error
	// Sound says what the engine itself finds wrong: of its files, keys and references.
	Sound func(q Querier, found func(what string)) error
}
