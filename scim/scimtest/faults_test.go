package scimtest

import "slices"

// What stands instead of a name or a value in an answer.
const (
	aMember  = `"members":[{"value":"x"}],"meta"`
	anEmail  = `"emails":[{"value":"x@y.example"}],`
	members  = `"members":\[[^]]*\]`
	nothing  = `"members":[]`
	instead  = `"x"`
	errorURN = `messages:2.0:Error`
)

func faults() []fault {
	return slices.Concat(discoveryFaults(), accessFaults(), creationFaults(), readingFaults(), filterFaults(), pagingFaults(),
		putFaults(), patchFaults(), groupFaults(), deletionFaults(), errorFaults(), versionFaults(), claimFaults())
}

func discoveryFaults() []fault {
	config, types, schemas := at("GET ^/ServiceProviderConfig"), at("GET ^/ResourceTypes"), at("GET ^/Schemas")
	return []fault{
		broken("discovery.config", config, turns(404)),
		broken("discovery.config-schemas", config, say(`core:2.0:ServiceProviderConfig`, `core:2.0:Config`)),
		broken("discovery.config-features", config, say(`"changePassword":\{[^}]*\}`, `"changePassword":{}`)),
		broken("discovery.config-limits", config, say(`"maxPayloadSize":\d+`, `"maxPayloadSize":"big"`)),
		broken("discovery.config-authentication", config, say(`"description"`, `"text"`)),
		broken("discovery.config-meta", config, say(`"resourceType":"[^"]*"`, `"resourceType":"Config"`)),
		broken("discovery.config-pagination", config, say(`"cursor":true`, `"cursor":"yes"`)),
		broken("discovery.config-default-method", config, say(`"defaultPaginationMethod":"index"`, `"defaultPaginationMethod":"any"`)),
		broken("discovery.types", types, say(`ListResponse`, `List`)),
		broken("discovery.types-fields", types, say(`"name":"Group"`, `"title":"Group"`)),
		broken("discovery.types-user", types, say(`"endpoint":"/Users"`, `"endpoint":"/People"`)),
		broken("discovery.types-by-name", at("GET ^/ResourceTypes/User"), turns(404)),
		broken("discovery.types-meta", types, say(`"resourceType":"ResourceType"`, `"resourceType":"Type"`)),
		broken("discovery.types-extensions", types, say(`"required":(true|false)`, `"required":"perhaps"`)),
		broken("discovery.schemas", schemas, say(`ListResponse`, `List`)),
		broken("discovery.schemas-complete", schemas, say(`"id":"`+urnEnterprise+`"`, `"id":"urn:example:other"`)),
		broken("discovery.schema-by-urn", at("GET ^/Schemas/urn:ietf"), turns(404)),
		broken("discovery.schema-unknown", at("GET no:such"), turns(200)),
		broken("discovery.schema-attributes", schemas, say(`"returned":"default"`, `"returned":"sometimes"`)),
		broken("discovery.schema-user-name", schemas, say(`"uniqueness":"server"`, `"uniqueness":"none"`)),
		broken("discovery.schema-sub-attributes", schemas, say(`"subAttributes"`, `"parts"`)),
		broken("discovery.schemas-filter", at(`GET ^/Schemas\?filter`), turns(200)),
		broken("discovery.types-filter", at(`GET ^/ResourceTypes\?filter`), turns(200)),
		broken("discovery.schemas-paging", at(`GET ^/Schemas\?start`), say(`"Resources":\[.*`, `"Resources":[]}`)),
		broken("discovery.read-only", at("POST ^/Schemas"), turns(200)),
	}
}

func accessFaults() []fault {
	credential := lend("Authorization", "Bearer "+testToken)
	return []fault{
		broken("authentication.none", at("GET ^/Users$"), head("Authorization", `^$`), credential),
		broken("authentication.wrong", at("GET ^/Users$"), head("Authorization", `wrong$`), credential),
		broken("authentication.empty", at("GET ^/Users$"), head("Authorization", `^Bearer$`), credential),
		broken("authentication.basic", head("Authorization", `^Basic`), credential),
		broken("authentication.write", at("POST ^/Users$"), head("Authorization", `^$`), credential),
		broken("authentication.item", at("GET ^/Users/"), head("Authorization", `^$`), credential),
		broken("authentication.challenge", answered(401), wears("WWW-Authenticate", "")),
		broken("authentication.scheme-case", head("Authorization", `^bEARER`), turns(401)),
		broken("authentication.body", answered(401), say(errorURN, `Failure`)),
		broken("content.scim", wears("Content-Type", "application/json")),
		broken("content.accept-json", head("Accept", `^application/json$`), turns(406)),
		broken("content.accept-none", head("Accept", `^$`), turns(406)),
		broken("content.accept-any", head("Accept", `^\*/\*$`), turns(406)),
		broken("content.charset", head("Content-Type", `charset`), refuses(415)),
		broken("content.json", head("Content-Type", `^application/json$`), refuses(415)),
		broken("content.wrong", head("Content-Type", `^text/plain$`), lend("Content-Type", mediaSCIM)),
		broken("content.unicode", say(`🌉`, `?`)),
		broken("content.get-type", at("GET "), head("Content-Type", `.`), refuses(415)),
		broken("content.unknown-parameter", at("GET aadOpt"), refuses(400)),
	}
}

func creationFaults() []fault {
	post, read := at("POST ^/Users"), at("GET ^/(Users|Groups)/")
	return []fault{
		broken("create.status", post, answered(201), turns(200)),
		broken("create.body", post, say(`Robin of the Sluice`, `Robin`)),
		broken("create.id", post, own, say(`"id":"[^"]*"`, `"id":""`)),
		broken("create.schemas", post, own, say(`core:2.0:User`, `core:2.0:Human`)),
		broken("create.location", post, wears("Location", "")),
		broken("create.location-absolute", post, say(`"location":"[^"]*"`, `"location":"/Users/1"`)),
		broken("create.meta-type", post, say(`"resourceType":"User"`, `"resourceType":"Person"`)),
		broken("create.meta-dates", post, say(`"lastModified":"[^"]*"`, `"lastModified":"now"`)),
		broken("create.external-id", post, say(`MixedCase/7`, `mixedcase/7`)),
		broken("create.active", post, say(`"active":false`, `"active":"False"`)),
		broken("create.password", post, answered(201), say(`"userName"`, `"password":"shown","userName"`)),
		broken("create.duplicate", post, own, answered(409), turns(400)),
		broken("create.duplicate-type", post, say(`"scimType":"uniqueness",`, ``)),
		broken("create.duplicate-case", post, swap(`"SCIMTEST-`, `"OTHER-SCIMTEST-`)),
		broken("create.required", post, swap(`{"displayName":"Nobody"`, `{"userName":"nameless","displayName":"Nobody"`)),
		broken("create.required-type", post, who(`"nickName":"Nobody"`), say(`"scimType":"invalidValue",`, ``)),
		broken("create.empty-name", post, swap(`"userName":""`, `"userName":"empty"`)),
		broken("create.own-id", post, own, say(`"id":"[^"]*"`, `"id":"TAG-chosen"`)),
		broken("create.own-meta", post, own, say(`"resourceType":"User"`, `"resourceType":"Sluice"`)),
		broken("create.own-groups", read, own, say(`"meta"`, `"groups":[{"value":"x"}],"meta"`)),
		broken("create.multi-valued", post, own, say(`"primary":true`, `"primary":false`)),
		broken("create.one-primary", post, swap(`{"primary":true,"value":"b@two.example"}`, `{"type":"b","value":"b@two.example"}`), say(`"type":"b"`, `"primary":true`)),
		broken("create.null", post, own, say(`"meta"`, `"title":"null","meta"`)),
		broken("create.empty-array", post, own, say(`"meta"`, `"phoneNumbers":[{"value":"0"}],"meta"`)),
		broken("create.name-case", read, say(`Shouted`, `shouted`)),
		broken("create.array-of-one", post, own, say(`"emails":\[([^]]*)\]`, `"emails":$1`)),
		broken("create.unknown-attribute", post, who(`sluiceGate`), refuses(400)),
		broken("create.active-string", post, who(`"active":"True"`), refuses(400)),
		broken("create.canonical", post, who(`lockhouse`), refuses(400)),
		broken("create.extension", post, own, say(`"costCenter"`, `"cost"`)),
		broken("create.extension-absent", post, own, refuses(400)),
		broken("create.group", at("POST ^/Groups"), answered(201), turns(200)),
		broken("create.group-members", read, own, say(members, nothing)),
		broken("create.group-meta", read, say(`"resourceType":"Group"`, `"resourceType":"Team"`)),
		broken("create.group-required", at("POST ^/Groups"), who(`nameless"`), swap(`"externalId"`, `"displayName"`)),
		broken("create.group-member-reference", at("GET ^/Groups/"), say(`"(type|\$ref)":`, `"x$1":`)),
		broken("create.user-groups", at("GET ^/Users/"), say(`"groups":\[`, `"teams":[`)),
	}
}

func readingFaults() []fault {
	return []fault{
		broken("read.by-id", at("GET ^/Users/"), own, say(`"userName":"`, `"userName":"x`)),
		broken("read.unknown", at("GET ^/Users/"+nobodyElse), turns(403)),
		broken("read.same", at("GET ^/Users/"), say(`Same Twice`, `Same Once`)),
		broken("read.list", at(`GET ^/Users\?count=2$`), say(`ListResponse`, `List`)),
		broken("read.list-whole", at(`GET ^/Users\?count=3$`), say(`"schemas":\["[^]]*core:2.0:User[^]]*\]`, `"schemas":[]`)),
		broken("read.group-list", at(`GET ^/Groups\?count=1$`), turns(404)),
		broken("read.unknown-group", at("GET ^/Groups/"+nobody), head("Authorization", `.`), turns(403)),
		broken("read.inactive", at(`GET ^/Users/[^?]*$`), who(`cast-bo`), say(`"active":false`, `"active":true`)),
		broken("read.attributes", at(`GET ^/Users/.*\?attributes=userName$`), say(`"userName"`, anEmail+`"userName"`)),
		broken("read.attributes-id", at(`GET \?attributes=title$`), say(`"id":"[^"]*"`, `"id":""`)),
		broken("read.attributes-schemas", at(`GET \?attributes=displayName$`), say(`core:2.0:User`, `core:2.0:Human`)),
		broken("read.excluded", at(`GET \?excludedAttributes=emails$`), say(`"meta"`, anEmail+`"meta"`)),
		broken("read.excluded-id", at(`GET \?excludedAttributes=id$`), say(`"id":"[^"]*"`, `"id":""`)),
		broken("read.attributes-list", at(`GET attributes=displayName&filter`), say(`"id"`, anEmail+`"id"`)),
		broken("read.group-without-members", at(`GET ^/Groups/.*excludedAttributes=members$`), say(`"meta"`, aMember)),
		broken("read.group-list-without-members", at(`GET ^/Groups\?excludedAttributes=members&count`), say(`"meta"`, aMember)),
		broken("read.create-attributes", at(`POST \?attributes=userName$`), say(`"userName"`, `"title":"seen","userName"`)),
		broken("read.attributes-sub", at(`GET attributes=name.givenName$`), say(`"givenName"`, `"familyName":"x","givenName"`)),
		broken("read.attributes-urn", at(`GET attributes=urn.*userName$`), turns(400)),
		broken("read.attributes-case", at(`GET attributes=USERNAME$`), say(`"userName"`, `"unread"`)),
		broken("read.attributes-several", at(`GET attributes=userName,active$`), say(`"active"`, `"name":{"givenName":"x"},"active"`)),
		broken("read.attributes-extension", at(`GET \?attributes=urn.*department$`), say(`-Locks`, `-Weirs`)),
		broken("read.attributes-extension-whole", at(`GET \?attributes=urn.*enterprise:2.0:User$`), say(`7001`, `7002`)),
		broken("read.excluded-extension", at(`GET \?excludedAttributes=urn`), say(`7001`, `7002`)),
	}
}

// unfound is a server that finds nobody where it should.
func unfound(id, filter string) fault { return broken(id, at("GET "+filter), nobodyFound) }

func filterFaults() []fault {
	return slices.Concat([]fault{
		unfound("filter.eq", `^/Users\?filter=userName eq "[^"]*cast-ada@check.example"$`),
		unfound("filter.ne", `userName ne `), unfound("filter.co", `userName co `),
		unfound("filter.sw", `userName sw "[^"]*cast-bo"$`), unfound("filter.ew", ` ew `), unfound("filter.pr", `title pr`),
		unfound("filter.gt", `created gt`), unfound("filter.ge", `created le`), unfound("filter.operator-case", `userName EQ`),
		unfound("filter.case", `userName eq "SCIMTEST-[^"]*ADA@`), unfound("filter.and", `name.givenName eq "Ada"$`),
		unfound("filter.or", `cast-ada@check.example" or userName eq "[^"]*cast-cy@check.example"$`),
		unfound("filter.not", `and not \(userName`), unfound("filter.precedence", `givenName eq "Nobody"$`),
		unfound("filter.grouping", `\(userName eq .*givenName eq "Bo"$`), unfound("filter.value-path", `emails\[type eq "work" and`),
		unfound("filter.value-path-three", `not \(primary`), unfound("filter.plus", `^/Users\?filter=userName eq "[^"]*cast-cy@check.example"$`),
		unfound("filter.attribute-case", `USERNAME eq`), unfound("filter.urn", `filter=urn[^ ]*core:2.0:User:userName`),
		unfound("filter.id", `^/Users\?filter=id eq`), unfound("filter.external-id", `externalId eq "[^"]*Ext-Ada"`),
		unfound("filter.boolean", `active eq false`), unfound("filter.sub-attribute", `familyName eq`),
		unfound("filter.multi-valued", `emails.value eq`), unfound("filter.multi-valued-default", `emails co`),
		unfound("filter.instant", `lastModified gt`), unfound("filter.extension", `department eq`),
		unfound("filter.extension-mixed", `employeeNumber eq`), unfound("filter.escape", `displayName sw`),
		unfound("filter.unicode", `displayName co "王"`), unfound("filter.unicode-escape", `u738b`), unfound("filter.percent", `"100%25 "`),
		unfound("filter.group-name", `^/Groups\?filter=displayName eq "[^"]*cast-`), unfound("filter.group-member", `members\[value eq`),
		unfound("filter.group-member-value", `members\.value eq`),
	}, []fault{
		broken("filter.nothing", at(`GET userName eq "[^"]*-nobody"$`), turns(404)),
		broken("filter.nothing-array", at(`GET userName eq "[^"]*-nothing"$`), say(`"Resources":\[\]`, `"Resources":null`)),
		broken("filter.external-id-case", at(`GET EXT-ADA`), ask(`EXT-ADA`, `Ext-Ada`)),
		broken("filter.syntax", at(`GET filter=userName eq$`), say(`invalidFilter`, `invalidValue`)),
		broken("filter.unclosed", at(`GET filter=\(userName pr$`), turns(500)),
		broken("filter.operator", at(`GET userName like`), turns(200)),
		broken("filter.unknown", at(`GET sluiceGate eq`), ask(`sluiceGate eq "open"`, `userName pr`)),
		broken("filter.boolean-order", at(`GET active gt`), turns(200)),
		broken("filter.deep", at(`GET \(\(\(\(`), turns(500)),
		broken("filter.long", at(`GET "x" or userName`), turns(500)),
		broken("filter.group-none", at(`GET ^/Groups\?filter=displayName eq "[^"]*-nothing"`), turns(404)),
		broken("filter.group-entra", at(`GET excludedAttributes=members&filter`), say(`"meta"`, aMember)),
	})
}

func pagingFaults() []fault {
	return []fault{
		broken("paging.count", at(`GET cast-"&count=1$`), ask(`count=1`, `count=2`)),
		broken("paging.total", at(`GET cast-"&startIndex=1&count=1$`), say(`"totalResults":3`, `"totalResults":1`)),
		broken("paging.items", at(`GET cast-"&startIndex=1&count=2$`), say(`"itemsPerPage":2`, `"itemsPerPage":100`)),
		broken("paging.start", at(`GET cast-"&startIndex=2&count=2$`), ask(`startIndex=2`, `startIndex=1`)),
		broken("paging.echo", at(`GET cast-"&startIndex=3&count=1$`), say(`"startIndex":3`, `"startIndex":1`)),
		broken("paging.zero", at(`GET cast-"&count=0$`), ask(`count=0`, `count=100`)),
		broken("paging.walk", at(`GET cast-"&count=1&startIndex=2$`), ask(`startIndex=2`, `startIndex=1`)),
		broken("paging.stable", at(`GET cast-"&count=2$`), from(2), ask(`count=2`, `startIndex=2&count=2`)),
		broken("paging.negative-count", at(`GET cast-"&count=-3$`), turns(400)),
		broken("paging.start-zero", at(`GET startIndex=0`), turns(400)),
		broken("paging.start-negative", at(`GET startIndex=-7`), turns(400)),
		broken("paging.beyond", at(`GET startIndex=500`), turns(404)),
		broken("paging.large", at(`GET count=100000$`), turns(400)),
		broken("paging.limit", at("GET ^/ServiceProviderConfig"), say(`"maxResults":\d+`, `"maxResults":1`)),
		broken("paging.nonsense", at(`GET count=many`), turns(200)),
		broken("paging.nonsense-start", at(`GET startIndex=first`), turns(200)),
		broken("paging.groups", at(`GET ^/Groups\?startIndex=1&count=1$`), ask(`count=1`, `count=2`)),
		broken("search.users", at("POST ^/Users/.search"), who(`userName eq ..scimtest-[0-9a-f]*-cast-bo`), nobodyFound),
		broken("search.root", at("POST ^/.search"), nobodyFound),
		broken("search.attributes", at("POST ^/Users/.search"), who(`"attributes"`), say(`"userName"`, anEmail+`"userName"`)),
		broken("search.paging", at("POST ^/Users/.search"), who(`"startIndex":2`), say(`"totalResults":3`, `"totalResults":1`)),
	}
}

func putFaults() []fault {
	read := at("GET ^/(Users|Groups)/")
	return []fault{
		broken("put.status", at("PUT "), own, turns(204)),
		broken("put.kept", at("PUT "), swap(`After Put`, `Other`)),
		broken("put.id", read, own, say(`"id":"`, `"id":"x`)),
		broken("put.created", read, own, from(2), say(`"created":"[^"]*"`, `"created":"1999-01-01T00:00:00Z"`)),
		broken("put.rename", read, own, say(`"userName":"`, `"userName":"x`)),
		broken("put.list", at("PUT "), swap(`new@put.example`, `old@put.example`)),
		broken("put.members", at("PUT "), own, swap(`"value":"`, `"value":"x`)),
		broken("put.no-members", at("PUT "), own, swap(`"members":[]`, `"nothing":[]`)),
		broken("put.unknown", at("PUT ^/Users/"+nobody), turns(200)),
		broken("put.taken", at("PUT "), own, turns(400)),
		broken("put.required", at("PUT "), swap(`"displayName":"Nameless"`, `"userName":"unnamed"`)),
		broken("put.groups", read, own, say(`"meta"`, `"groups":[{"value":"x"}],"meta"`)),
		broken("put.again", read, own, say(`"emails":\[`, `"emails":[{"value":"x"},`)),
	}
}

func patchFaults() []fault {
	change, read := at("PATCH "), at("GET ^/Users/")
	return []fault{
		broken("patch.status", change, own, turns(202)),
		broken("patch.replace", change, swap(`Replaced By Path`, `x`)),
		broken("patch.replace-object", change, swap(`Replaced By Object`, `x`)),
		broken("patch.add", change, swap(`Added By Path`, `x`)),
		broken("patch.add-object", change, swap(`Added By Object`, `x`)),
		broken("patch.remove", change, own, swap(`"displayName"`, `"nickName"`)),
		broken("patch.sub-attribute", change, swap(`Ronja`, `x`)),
		broken("patch.active", read, own, say(`"active":false`, `"active":true`)),
		broken("patch.several", change, swap(`"Last"`, `"First"`)),
		broken("patch.extension", change, swap(`Weirs`, `x`)),
		broken("patch.add-value", change, swap(`o@patch.example`, `x`)),
		broken("patch.add-same", read, own, say(`"emails":\[`, `"emails":[{"value":"h@patch.example"},`)),
		broken("patch.replace-values", change, swap(`n@patch.example`, `x`)),
		broken("patch.remove-value", change, own, swap(`\"home\"`, `\"work\"`)),
		broken("patch.replace-value", change, swap(`changed@patch.example`, `x`)),
		broken("patch.remove-all", change, own, swap(`"emails"`, `"nickName"`)),
		broken("patch.primary", read, own, say(`"primary":true`, `"primary":false`)),
		broken("patch.again", read, own, say(`"emails":\[`, `"emails":[{"value":"x"},`)),
		broken("patch.unknown", at("PATCH ^/Users/"+nobody), turns(400)),
		broken("patch.atomic", read, say(`Untouched`, `Half Done`)),
		broken("patch.no-target", change, own, say(`noTarget`, `invalidValue`)),
		broken("patch.operation", change, who(`frobnicate`), turns(200)),
		broken("patch.path", change, own, say(`invalidPath`, `invalidValue`)),
		broken("patch.read-only", change, own, say(`mutability`, `invalidValue`)),
		broken("patch.required", change, own, turns(204)),
		broken("patch.taken", change, own, turns(400)),
		broken("patch.type", change, who(`not an object`), turns(200)),
		broken("patch.syntax", change, who(`^\{"Operations":\[$`), say(`invalidSyntax`, `invalidValue`)),
		broken("patch.op-case", change, who(`"op":"Replace"`), refuses(400)),
		broken("patch.active-string", change, who(`"value":"False"`), refuses(400)),
		broken("patch.dotted", change, who(`"name.givenName":`), refuses(400)),
		broken("patch.create-by-filter", change, who(`made@filter.example`), refuses(400)),
		broken("patch.nothing", change, who(`"Operations":\[\]`), refuses(400)),
		broken("patch.same", change, who(`Unchanged`), refuses(400)),
		broken("patch.extension-object", change, swap(`Canals`, `x`)),
		broken("patch.extension-key", change, who(`Waterways`), refuses(400)),
		broken("patch.manager-string", change, who(`:manager"`), refuses(400)),
	}
}

func groupFaults() []fault {
	change, read := at("PATCH ^/Groups/"), at("GET ^/Groups/")
	emptied, joined := say(members, nothing), say(`"meta"`, aMember)
	return []fault{
		broken("patch-group.status", change, own, turns(202)),
		broken("patch-group.rename", read, own, emptied),
		broken("patch-group.rename-object", read, own, emptied),
		broken("patch-group.add", read, own, emptied),
		broken("patch-group.add-object", read, own, emptied),
		broken("patch-group.add-again", read, own, say(`"members":\[`, `"members":[{"value":"x"},`)),
		broken("patch-group.remove", read, own, emptied),
		broken("patch-group.remove-all", read, own, joined),
		broken("patch-group.replace", read, own, emptied),
		broken("patch-group.replace-none", read, own, joined),
		broken("patch-group.both", read, own, emptied),
		broken("patch-group.many", read, own, emptied),
		broken("patch-group.atomic", read, own, emptied),
		broken("patch-group.unknown", at("PATCH ^/Groups/"+nobody), turns(400)),
		broken("patch-group.absent", read, own, emptied),
		broken("patch-group.remove-array", read, own, emptied),
		broken("patch-group.stranger", change, who(`"value":"`+nobody), refuses(400)),
		broken("patch-group.external-id", change, own, swap(`team"`, `crew"`)),
		broken("patch-group.inactive", read, own, emptied),
	}
}

func deletionFaults() []fault {
	return []fault{
		broken("delete.status", at("DELETE "), own, turns(200)),
		broken("delete.gone", at("GET "), own, answered(404), turns(200)),
		broken("delete.twice", at("DELETE "), own, answered(404), turns(204)),
		broken("delete.put", at("PUT "), own, turns(400)),
		broken("delete.patch", at("PATCH "), own, turns(400)),
		broken("delete.list", at("GET filter=userName"), own, say(`"totalResults":0`, `"totalResults":1`)),
		broken("delete.name", at("POST "), own, from(2), refuses(409)),
		broken("delete.unknown", at("DELETE ^/Users/"+nobody), turns(204)),
		broken("delete.group", at("GET ^/Groups/"), own, turns(200)),
		broken("delete.member", at("GET ^/Groups/"), own, say(`"members":\[`, `"members":[{"value":"x"},`)),
	}
}

func errorFaults() []fault {
	unknown, post := at("GET ^/Users/"+nobody), at("POST ^/Users$")
	return []fault{
		broken("errors.schemas", unknown, say(errorURN, `Failure`)),
		broken("errors.status", unknown, say(`"status":"404"`, `"status":404`)),
		broken("errors.detail", unknown, say(`"detail"`, `"text"`)),
		broken("errors.content-type", unknown, wears("Content-Type", "text/html")),
		broken("errors.conflict", post, own, say(errorURN, `Failure`)),
		broken("errors.filter", at("GET userName zz"), say(errorURN, `Failure`)),
		broken("errors.unknown-route", at("GET /NoSuchThings"), say(errorURN, `Failure`)),
		broken("errors.method", at("PUT ^/Users$"), say(errorURN, `Failure`)),
		broken("errors.allow", at("DELETE ^/Users$"), wears("Allow", "")),
		broken("errors.syntax", post, who(`^\{"userName": $`), say(`invalidSyntax`, `invalidValue`)),
		broken("errors.array", post, who(`^\[\]$`), turns(500)),
		broken("errors.null", post, who(`^null$`), turns(500)),
		broken("errors.empty", post, who(`^/Users\n/Users\n\n`), turns(500)),
		broken("errors.type", post, who(`"userName":12`), turns(500)),
		broken("errors.object", post, who(`"name":"Robin`), turns(500)),
		broken("errors.trailing", post, swap(`} {}`, `}`)),
		broken("errors.deep", post, who(`\[\[\[\[`), turns(500)),
		broken("errors.long", post, who(`long long`), turns(500)),
		broken("errors.zero-byte", post, who(`zero\\u0000byte`), turns(500)),
		broken("errors.odd-id", at("GET %2e%2e"), turns(500)),
	}
}

func versionFaults() []fault {
	read := at("GET ^/(Users|Groups)/")
	stale, open := head("If-Match", `never`), lend("If-Match", "*")
	return []fault{
		broken("etag.get", read, who(`cast-cy`), wears("ETag", "")),
		broken("etag.create", at("POST ^/Users$"), wears("ETag", "")),
		broken("etag.version", read, say(`"version":"W/`, `"version":"V/`)),
		broken("etag.changes", read, own, wears("ETag", `W/"1"`)),
		broken("etag.stays", read, own, from(2), wears("ETag", `W/"999"`)),
		broken("etag.not-modified", read, own, answered(304), turns(200)),
		broken("etag.modified", head("If-None-Match", `never`), turns(304)),
		broken("etag.group", read, own, wears("ETag", `W/"1"`)),
		broken("etag.put", at("PUT "), stale, open),
		broken("etag.delete", at("DELETE "), stale, open),
		broken("etag.put-current", at("PUT "), own, turns(412)),
		broken("etag.patch", at("PATCH "), stale, open),
		broken("etag.patch-current", at("PATCH "), own, turns(412)),
		broken("etag.any", head("If-Match", `^\*$`), turns(412)),
		broken("concurrency.create", at("POST "), own, answered(409), turns(201)),
		broken("concurrency.members", read, own, say(`"members":\[\{[^}]*\},`, `"members":[`)),
		broken("concurrency.attributes", read, own, say(`"At Once"`, instead)),
		broken("concurrency.reads", read, own, from(3), turns(503)),
	}
}

func claimFaults() []fault {
	up, many := ask(`descending`, `ascending`), at("POST ^/Bulk")
	next := say(`"nextCursor"`, `"more"`)
	return []fault{
		broken("sort.ascending", at(`GET sortBy=userName$`), ask(`$`, `&sortOrder=descending`)),
		broken("sort.descending", at(`GET sortBy=userName&sortOrder=descending$`), up),
		broken("sort.said", at(`GET sortOrder=ascending$`), ask(`ascending`, `descending`)),
		broken("sort.sub-attribute", at(`GET sortBy=name.givenName`), up),
		broken("sort.name-case", at(`GET sortBy=USERNAME`), up),
		broken("sort.pages", at(`GET descending&startIndex=2`), ask(`startIndex=2`, `startIndex=1`)),
		broken("sort.absent", at(`GET sortBy=title$`), ask(`$`, `&sortOrder=descending`)),
		broken("bulk.answer", many, own, say(`BulkResponse`, `Bulk`)),
		broken("bulk.status", many, own, say(`"status":"201"`, `"status":201`)),
		broken("bulk.location", many, own, say(`"location":"[^"]*"`, `"location":"/Users/x"`)),
		broken("bulk.reference", many, swap(`bulkId:member`, `bulkId:nobody`)),
		broken("bulk.change", many, swap(`Put In Bulk`, `x`)),
		broken("bulk.failure", many, own, say(`"409"`, `"400"`)),
		broken("bulk.fail-on-errors", many, swap(`"failOnErrors":1`, `"failOnErrors":9`)),
		broken("bulk.limit", many, answered(413), turns(200)),
		broken("bulk.method", at("GET ^/Bulk"), turns(200)),
		broken("cursor.first", at(`GET &cursor&count=1$`), next),
		broken("cursor.empty-value", at(`GET cursor=&count=2$`), next),
		broken("cursor.walk", at(`GET count=1&cursor=after-1$`), ask(`after-1`, `after-0`)),
		broken("cursor.last", at(`GET cursor=&count=3$`), say(`"totalResults"`, `"nextCursor":"x","totalResults"`)),
		broken("cursor.first-previous", at(`GET count=1&cursor=$`), say(`"totalResults"`, `"previousCursor":"x","totalResults"`)),
		broken("cursor.characters", at(`GET count=2&cursor$`), say(`after-`, `after/`)),
		broken("cursor.invalid", at(`GET scimtest-never$`), say(`invalidCursor`, `invalidValue`)),
		broken("cursor.negative-count", at(`GET cursor=&count=-1$`), turns(400)),
		broken("cursor.count", at(`GET &cursor&count=2$`), ask(`count=2`, `count=3`)),
	}
}
