// Package resource protects an API that takes drawbridge's access tokens. It stands
// alone: it imports nothing else of this module, and speaks to the bridge by the
// protocols that docs/applications.md describes.
//
//	guard, err := resource.New(resource.Config{Issuer: "https://id.example", Audience: "fleet-api",
//		ClientID: "fleet-api", ClientSecret: secret})
//	go guard.Run(ctx)
//	mux.Handle("GET /vehicles", guard.Protect(vehicles, resource.Workflow("live_view")))
//
// Tokens are verified here, without asking: signature, issuer, audience, type, end, and
// the proof of their key if they are bound to one (RFC 9068, RFC 9449). Run follows the
// bridge's feed of revocations, so that a token ends here when it is ended there. While
// the feed has not confirmed anything for Config.Lease, each token is asked about
// (RFC 7662); where nobody can be asked, the answer is 503.
package resource
