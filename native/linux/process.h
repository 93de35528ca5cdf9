/** What a process says about itself to the kernel. */
#ifndef WIRE_PROCESS_H_
#define WIRE_PROCESS_H_

#include <node_api.h>

namespace wire {

/**
 * forbidDump() → 0 or -errno. From now on the kernel writes no core of this process, and only
 * root may attach a debugger or read its memory (PR_SET_DUMPABLE, prctl(2)). Programs that it
 * starts are not affected: execve(2) sets it anew.
 */
napi_value ForbidDump(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
