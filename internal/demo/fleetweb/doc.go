// Package fleetweb is "Fleet Web", the demo's sample application: a relying party
// of standard OpenID Connect that could be anyone's. It imports nothing of the
// bridge. What it shows of good manners is docs/applications.md in code: it keeps
// its session on the server, takes the grant and the scope together, asks the
// bridge about its token before each page, and refuses when the answer is no.
package fleetweb
