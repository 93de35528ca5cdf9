/** fusectl, the file system at /sys/fs/fuse/connections with which a connection is cut off. */
#ifndef WIRE_FUSECTL_H_
#define WIRE_FUSECTL_H_

#include <node_api.h>

namespace wire {

/**
 * abortConnection(minor) → promise of 0 or -errno. Makes a mount of fusectl for itself that no
 * path leads to (Linux 5.2), so that it works where nobody has mounted it: EPERM without
 * CAP_SYS_ADMIN, ENOENT when there is no such connection.
 */
napi_value AbortConnection(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
