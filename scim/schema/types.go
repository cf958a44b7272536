package schema

// Types are the resource types that one connection serves: all that is known of its
// people and groups is found here.
type Types struct{ Users, Groups *ResourceType }

// Standard is what every connection serves, and all that one without schemas of its
// own does.
func Standard() Types { return Types{Users: users, Groups: groups} }
