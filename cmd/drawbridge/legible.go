package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
)

// What customers' identity providers send, names above all, ends up on a host
// operator's terminal. Nothing in it may move the cursor, begin a line or turn the
// direction of reading.

// obeyed says of a character that a terminal may obey it instead of showing it.
func obeyed(r rune) bool {
	const withoutJoiner, joiner = '\u200c', '\u200d' // Persian and Indic names are spelt with them
	return !unicode.IsGraphic(r) && r != withoutJoiner && r != joiner
}

// legible is s with what a terminal would obey spelt out, as in a Go string.
func legible(s string) string {
	if strings.IndexFunc(s, obeyed) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if obeyed(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// legibleTexts is a JSON document with each of its texts legible.
func legibleTexts(document []byte) ([]byte, error) {
	var out bytes.Buffer
	in, to := jsontext.NewDecoder(bytes.NewReader(document)), jsontext.NewEncoder(&out)
	for {
		t, err := in.ReadToken()
		if err == io.EOF {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if t.Kind() == '"' {
			t = jsontext.String(legible(t.String()))
		}
		if err := to.WriteToken(t); err != nil {
			return nil, err
		}
	}
}

// printable is v as JSON that means the same and that a terminal may be given.
func printable(v any, indent string) ([]byte, error) {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, r := range plain.String() {
		if r == '\n' || !obeyed(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b.WriteString(`\u` + strconv.FormatUint(0x10000|uint64(unit), 16)[1:])
		}
	}
	return b.Bytes(), nil
}
