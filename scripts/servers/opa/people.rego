# Who may touch what at MinIO: a sample for institutes, and what the tests run on.
#
# Input: https://docs.min.io/community/minio-object-store/administration/identity-access-management/pluggable-authorization.html
package wire.people

default may := false

# Parts of keys are made of these names: `*`, `/` or nothing would reach those of others.
is_plain(name) if regex.match(`^[A-Za-z0-9][A-Za-z0-9._-]*$`, name)

user := name if {
	name := input.claims.preferred_username
	is_plain(name)
}

# Folders in the bucket of everybody: one's own, and those of one's groups. The slash at the end
# keeps `alice` out of what is `alice2`'s.
folders contains sprintf("users/%s/", [user])

folders contains sprintf("shared/%s/", [user])

folders contains sprintf("groups/%s/", [group]) if {
	some group in input.claims.groups
	is_plain(group)
}

shared_bucket := "wire-people"

object_actions := {
	"s3:GetObject",
	"s3:PutObject",
	"s3:DeleteObject",
	"s3:AbortMultipartUpload",
	"s3:ListMultipartUploadParts",
	"s3:GetObjectTagging",
	"s3:PutObjectTagging",
}

may if {
	input.bucket == shared_bucket
	input.action in object_actions
	some folder in folders
	startswith(input.object, folder)
}

# Names are told only below these folders: a listing without a prefix would tell everybody's.
may if {
	input.bucket == shared_bucket
	input.action == "s3:ListBucket"
	some prefix in input.conditions.prefix
	some folder in folders
	startswith(prefix, folder)
}

# Here names are everybody's to see, as in /home.
may if {
	input.bucket == shared_bucket
	input.action == "s3:ListBucket"
	some prefix in input.conditions.prefix
	startswith(prefix, "shared/")
}

# A bucket of one's own.
may if input.bucket == user

# The owners of the demo bucket.
may if {
	input.bucket == "wire-demo"
	"wire-owners" in input.claims.groups
}

# MinIO asks again for each bucket of the list, and shows those whose names may be listed.
may if input.action in {"s3:ListAllMyBuckets", "s3:GetBucketLocation"}
