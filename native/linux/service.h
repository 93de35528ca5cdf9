/** What a service, or the first process of a container, has to do with the system around it. */
#ifndef WIRE_SERVICE_H_
#define WIRE_SERVICE_H_

#include <node_api.h>

namespace wire {

/**
 * notifyService(path, text) → 0 or -errno. One datagram to the Unix socket at `path`, whose first
 * character is '@' for an abstract name (sd_notify(3)). Does not wait.
 */
napi_value NotifyService(napi_env env, napi_callback_info info);

/**
 * reapChild(pid) → pid when it was a child that has ended and is gone now, 0 when it lives, or
 * -errno (waitpid(2)). For children that this process inherited, and Node does not know.
 */
napi_value ReapChild(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
