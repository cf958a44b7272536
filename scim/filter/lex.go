package filter

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// The limits of one filter or path.
const (
	MaxLength = 8 << 10 // bytes
	MaxDepth  = 32      // parentheses, brackets and nots inside each other
	MaxNodes  = 256     // comparisons and connectives
)

type kind uint8

const (
	end kind = iota
	word
	quoted
	open
	shut
	openBracket
	shutBracket
)

type token struct {
	kind kind
	at   int    // byte offset in the text
	text string // of a word, or of a string after its escapes are resolved
}

// lexer cuts a text into tokens, one ahead. A word is whatever stands between
// white space, quotes, parentheses and brackets: names, operators, bare literals.
type lexer struct {
	text string
	at   int
	next token
	fail schema.Kind // what a fault is called
}

// newLexer is given the first fault that needs no grammar.
func newLexer(text string, fail schema.Kind) (*lexer, error) {
	switch {
	case len(text) > MaxLength:
		return nil, schema.Errorf(fail, "", "longer than %d bytes", MaxLength)
	case !utf8.ValidString(text):
		return nil, schema.Errorf(fail, "", "not valid UTF-8")
	case strings.IndexByte(text, 0) >= 0:
		return nil, schema.Errorf(fail, "", "holds a NUL character")
	}
	l := &lexer{text: text, fail: fail}
	return l, l.advance()
}

// take hands out the next token and reads the one behind it.
func (l *lexer) take() (token, error) {
	t := l.next
	return t, l.advance()
}

func (l *lexer) advance() error {
	for l.at < len(l.text) && isSpace(l.text[l.at]) {
		l.at++
	}
	l.next = token{at: l.at}
	if l.at == len(l.text) {
		return nil
	}
	if l.text[l.at] == '"' {
		return l.string()
	}
	if k := punctuation(l.text[l.at]); k != end {
		l.next.kind = k
		l.at++
		return nil
	}
	for l.at < len(l.text) && !isSpace(l.text[l.at]) && l.text[l.at] != '"' && punctuation(l.text[l.at]) == end {
		l.at++
	}
	l.next.kind, l.next.text = word, l.text[l.next.at:l.at]
	return nil
}

// string reads a JSON string.
func (l *lexer) string() error {
	i := l.at + 1
	for ; i < len(l.text) && l.text[i] != '"'; i++ {
		if l.text[i] == '\\' {
			i++
		}
	}
	if i >= len(l.text) {
		return l.errorf(l.at, "the string has no closing quote")
	}
	text, err := unquote(l.text[l.at : i+1])
	if err != nil {
		return l.errorf(l.at, "the string is not a JSON string")
	}
	if strings.IndexByte(text, 0) >= 0 {
		return l.errorf(l.at, "the string holds a NUL character")
	}
	l.next.kind, l.next.text = quoted, text
	l.at = i + 1
	return nil
}

// unquote takes the short way for the strings that everybody sends.
func unquote(s string) (string, error) {
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] != '\\' && s[i] >= ' '
	}
	if plain {
		return s[1 : len(s)-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, s)
	return string(text), err
}

// errorf is a fault at a place; people count characters from 1.
func (l *lexer) errorf(at int, format string, args ...any) error {
	err := schema.Errorf(l.fail, schema.Clip(l.text), format, args...)
	err.Detail += ", at character " + strconv.Itoa(utf8.RuneCountInString(l.text[:at])+1)
	return err
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func punctuation(c byte) kind {
	switch c {
	case '(':
		return open
	case ')':
		return shut
	case '[':
		return openBracket
	case ']':
		return shutBracket
	}
	return end
}
