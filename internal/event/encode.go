package event

import (
	"encoding/json"
	"slices"
	"time"
)

// AppendJSON appends the event as json.Marshal writes it, at a fraction of the cost:
// a change of a hundred members records hundreds of events while others wait.
func (e Event) AppendJSON(dst []byte) ([]byte, error) {
	dst = appendText(append(dst, `{"type":`...), string(e.Type))
	dst = appendText(append(dst, `,"actor":`...), string(e.Actor))
	if y := e.At.Year(); y < 0 || y > 9999 {
		return nil, &time.ParseError{Layout: time.RFC3339, Value: e.At.String(), Message: ": the year has more than four digits"}
	}
	dst = append(e.At.AppendFormat(append(dst, `,"at":"`...), time.RFC3339Nano), '"')
	dst = appendMember(dst, "connection", string(e.Connection))
	dst = appendMember(dst, "person", string(e.Person))
	dst = appendMember(dst, "session", e.Session)
	dst = appendMember(dst, "request", e.Request)
	if e.Data == nil {
		return append(dst, '}'), nil
	}
	var few [16]string
	names := few[:0]
	for name := range e.Data {
		names = append(names, name)
	}
	slices.Sort(names)
	dst = append(dst, `,"data":{`...)
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(appendText(dst, name), ':'), e.Data[name])
	}
	return append(dst, "}}"...), nil
}

// appendMember leaves out what is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendText(append(append(append(dst, `,"`...), name...), `":`...), value)
}

// appendText appends a JSON string. What needs an escape is rare, and left to
// encoding/json.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
