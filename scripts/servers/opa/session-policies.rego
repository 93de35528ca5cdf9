# Rights of people, held to the session policy of their credentials. MinIO itself ignores such a
# policy once it has a plugin, and only passes it on, in base64.
package wire

default allow := false

# MinIO's administrator is asked about as well, and would be locked out.
allow if input.owner

allow if {
	data.wire.people.may
	not input.claims.sessionPolicy
}

allow if {
	data.wire.people.may
	some statement in statements("Allow")
	applies(statement)
	not denied
}

denied if {
	some statement in statements("Deny")
	applies(statement)
}

session := json.unmarshal(base64.decode(input.claims.sessionPolicy))

statements(effect) := [statement |
	some statement in session.Statement
	statement.Effect == effect
]

applies(statement) if {
	some action in as_list(statement.Action)
	matches(action, input.action)
	some resource in as_list(statement.Resource)
	matches(resource, arn)
	every operator, wanted in object.get(statement, "Condition", {}) {
		operator == "StringLike"
		every key, patterns in wanted {
			key == "s3:prefix"
			some prefix in input.conditions.prefix
			some pattern in as_list(patterns)
			matches(pattern, prefix)
		}
	}
}

# A listing is of the bucket, though MinIO names the prefix as its object.
arn := sprintf("arn:aws:s3:::%s", [input.bucket]) if of_bucket

arn := sprintf("arn:aws:s3:::%s/%s", [input.bucket, input.object]) if not of_bucket

of_bucket if object.get(input, "object", "") == ""

of_bucket if input.action in {"s3:ListBucket", "s3:ListBucketMultipartUploads"}

as_list(value) := value if is_array(value)

as_list(value) := [value] if is_string(value)

# `*` and `?` as in policies; everything else is itself.
matches(pattern, text) if {
	quoted := regex.replace(pattern, `[.+^$(){}|\[\]\\]`, `\${0}`)
	regex.match(sprintf("^(?s:%s)$", [replace(replace(quoted, "*", ".*"), "?", ".")]), text)
}
