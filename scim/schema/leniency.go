package schema

import "slices"

// Leniency says which departures from RFC 7643 and 7644 are read as what was
// meant. The zero value is strict.
type Leniency struct {
	StringBooleans bool // "True" for true, in any case (Entra)
	BareValues     bool // a complex value given as its bare "value": manager, emails (Entra)
	Wrapped        bool // a single value in a one-element array, or as {"value": …} (Entra)
	Unwrapped      bool // one element of a multi-valued attribute without its array
	UnknownSchemas bool // URNs in schemas that nobody knows, missing URNs, no schemas at all
	UnknownNames   bool // attributes that nobody knows are dropped (Okta sends back what it read)
	AnyCase        bool // "Add" for "add" (Entra, JumpCloud)
	CreateMissing  bool // PATCH of attr[filter] that selects nothing creates the element (Entra)
	RemoveByValue  bool // PATCH remove with a value removes what the value names (Entra, authentik, JumpCloud)
	NoOperations   bool // PATCH without any operation changes nothing (Entra's validator)
	PathNames      bool // names in a PATCH value that are paths: "name.givenName" (Entra with its flag)
	ReadOnlyNames  bool // read-only attributes named in a PATCH value are passed over (Okta sends the id with a group's new name)
	Aliases        bool // an extension's attribute by its bare name, or behind its URN and a dot (Entra)
	BareWords      bool // filters compare with a word that has no quotes (authentik, Entra's documents)
}

// Lenient is what a connection does unless it is set to strict: everything that a
// known identity provider needs.
func Lenient() Leniency {
	return Leniency{
		StringBooleans: true, BareValues: true, Wrapped: true, Unwrapped: true,
		UnknownSchemas: true, UnknownNames: true, AnyCase: true, CreateMissing: true,
		RemoveByValue: true, NoOperations: true, PathNames: true, ReadOnlyNames: true, Aliases: true, BareWords: true,
	}
}

// The first word of each note, for whoever wants to tell dialects apart.
const (
	NoteStringBoolean = "string-boolean"
	NoteBareValue     = "bare-value"
	NoteWrapped       = "wrapped"
	NoteUnwrapped     = "unwrapped"
	NoteUnknownSchema = "unknown-schema"
	NoteUnknownName   = "unknown-name"
	NoteAnyCase       = "any-case"
	NoteCreated       = "created-missing"
	NoteRemoved       = "remove-by-value"
	NoteNoOperations  = "no-operations"
	NotePathName      = "path-name"
	NoteAlias         = "alias"
	NoteBareWord      = "bare-word"
	NoteReadOnlyNamed = "read-only-named"
	NoteReadOnly      = "read-only-ignored"
	NoteDropped       = "dropped"
)

// mostNotes bounds what a hostile request can make us remember.
const mostNotes = 32

// Notes are the leniencies that a request relied on, each once, "word: where".
type Notes []string

// Add notes one; the same note again, and any beyond 32, is left out.
func (n *Notes) Add(word, where string) { n.Join([]string{word + ": " + Clip(where)}) }

// Join adds the notes of another reading, likewise.
func (n *Notes) Join(more []string) {
	for _, note := range more {
		if len(*n) < mostNotes && !slices.Contains(*n, note) {
			*n = append(*n, note)
		}
	}
}

// Sentence says for people what a note says for programs. where is what the note is
// about, an attribute's path or a name as it was sent, in a form that may be shown.
func Sentence(word, where string) string {
	switch word {
	case NoteStringBoolean:
		return where + " was sent as a text, and read as true or false"
	case NoteBareValue:
		return where + " was sent as a bare value, and read as an object with that value"
	case NoteWrapped:
		return where + " was sent inside an array or object, and read as the one value in it"
	case NoteUnwrapped:
		return where + " was sent without its array, and read as its one element"
	case NoteUnknownSchema:
		return "the schema " + where + " is not known here or was not named, and that was passed over"
	case NoteUnknownName:
		return where + " is no attribute here, and was left out"
	case NoteAnyCase:
		return where + " was not sent in lower case, and read as if it were"
	case NoteCreated:
		return where + " had no element that the path selects, and one was made"
	case NoteRemoved:
		return "of " + where + ", what the operation's value names was removed"
	case NoteNoOperations:
		return "the PATCH held no operations, and changed nothing"
	case NotePathName:
		return where + " stood as a name in a value, and was read as a path"
	case NoteAlias:
		return where + " was named without the URN and colon of its schema"
	case NoteBareWord:
		return where + " was compared with a word without quotes, and that was read as a text"
	case NoteReadOnlyNamed:
		return where + " is read-only, was named in a change all the same, and was left out"
	case NoteReadOnly:
		return where + " is not the client's to set, and was left out"
	case NoteDropped:
		return where + " is never kept here, and was left out"
	}
	return word + ": " + where
}
