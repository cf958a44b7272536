// Package drive acts as an identity provider against any SCIM server: it makes up a
// directory of fictitious people and groups, sends it in one vendor's own requests
// and order, and measures the answers. The directory follows from a seed, so that a
// run that was interrupted goes on where it ended: everybody is looked up before
// they are created, as the vendors do.
package drive
