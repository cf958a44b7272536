// Package idp speaks as identity providers do: what Microsoft Entra ID and Okta send
// over SCIM for each change of a person or group, with their own shapes, order and
// batches. It keeps no directory: oidc/oidctest has one for tests and the demo, and
// internal/drive makes one up as it goes.
package idp
