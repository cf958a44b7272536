// Package scimtest checks any SCIM 2.0 server (RFC 7643, RFC 7644, RFC 9865) over
// HTTP and reports what it found, with the section that each check stands on. It
// knows nothing of our own server, so that it judges both alike.
//
// It makes people and groups under reserved names, works on these alone, and removes
// them before Run returns, also when it is interrupted.
package scimtest
