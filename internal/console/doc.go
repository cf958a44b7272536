// Package console is what people see: sign-in, choosing a grant, their access, and
// why not. Pages are rendered on the server, carry no script, and work by keyboard.
//
// Everything a page shows is in customers' words: the type Public marks them, and
// templates are given nothing else. An e-mail address finds a connection and
// decides nothing.
package console
