// Package scim is the SCIM 2.0 front (RFC 7643, RFC 7644, RFC 9865): it decodes a request
// once, asks the directory that the credential opened, and encodes the answer.
// What it asks for is in ports.go; it knows nothing of how things are stored.
package scim
