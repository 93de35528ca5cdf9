/**
 * FUSE passthrough (Linux 6.9): a file of ours that the kernel reads and writes itself in place of
 * asking us. `FUSE_DEV_IOC_BACKING_OPEN` and `_CLOSE` of `include/uapi/linux/fuse.h`.
 */
#ifndef WIRE_BACKING_H_
#define WIRE_BACKING_H_

#include <node_api.h>

namespace wire {

/**
 * openBacking(device, fd) → the kernel's id of the file, or -errno: EPERM without CAP_SYS_ADMIN,
 * ELOOP on a stacked file system. The kernel keeps the file; `fd` may be closed afterwards.
 */
napi_value OpenBacking(napi_env env, napi_callback_info info);

/** closeBacking(device, id) → 0 or -errno. Files opened with it keep it. */
napi_value CloseBacking(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
