package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"regexp"
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

// visible is a text of several lines with a sign in the place of each character that a
// terminal would obey, so that what stands under it stands right.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && obeyed(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// unquoted is what every shell takes as it stands.
var unquoted = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// pasted is a word of a command that somebody is told to run, quoted so that a shell
// takes it as one word and obeys nothing in it: it may be what a customer's identity
// provider calls somebody.
func pasted(word string) string {
	if unquoted.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// pastedList is pasted for the names of one flag, of which none is taken for two.
func pastedList(names []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(names) //nolint:errcheck // into memory
	w.Flush()
	return pasted(strings.TrimSuffix(b.String(), "\n"))
}
