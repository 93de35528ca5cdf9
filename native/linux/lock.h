/** A lock between processes: a file under flock(2), which the kernel takes back from the dead. */
#ifndef WIRE_LOCK_H_
#define WIRE_LOCK_H_

#include <node_api.h>

namespace wire {

/**
 * lockFile(path) → a descriptor that holds the lock, or -errno: EWOULDBLOCK when somebody else
 * has it. The file is made if need be; its holder may unlink it. Closing the descriptor unlocks.
 */
napi_value LockFile(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
