/** The kernel's key retention service (keyrings(7)): small secrets in kernel memory. */
#ifndef WIRE_KEYRING_H_
#define WIRE_KEYRING_H_

#include <node_api.h>

namespace wire {

/**
 * keyringAdd(description, bytes) → 0 or -errno. Puts a key of type `user` into the user keyring,
 * in place of one of the same description; every process of this user may read it.
 */
napi_value KeyringAdd(napi_env env, napi_callback_info info);

/**
 * keyringRead(description, into) → how many bytes the key has, or -errno: ENOKEY when there is
 * none, EKEYREVOKED and EKEYEXPIRED when it has ended. More than `into` holds are not written.
 */
napi_value KeyringRead(napi_env env, napi_callback_info info);

/** keyringUnlink(description) → 0 or -errno. Takes the key out of the user keyring. */
napi_value KeyringUnlink(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
