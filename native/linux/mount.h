#ifndef WIRE_MOUNT_H_
#define WIRE_MOUNT_H_

#include <node_api.h>

namespace wire {

/** openDevice(path) → descriptor of /dev/fuse, or -errno. */
napi_value OpenDevice(napi_env env, napi_callback_info info);

/**
 * adoptDevice(fd) → the same descriptor, non-blocking and close-on-exec, or -errno: ENODEV when it
 * is not /dev/fuse.
 */
napi_value AdoptDevice(napi_env env, napi_callback_info info);

/** closeDescriptor(fd). */
napi_value CloseDescriptor(napi_env env, napi_callback_info info);

/** mount(fd, target, source, subtype, options, flags) → promise of 0 or -errno. */
napi_value Mount(napi_env env, napi_callback_info info);

/** replaceTop(fd, target, source, subtype, options, flags) → promise of 0 or -errno. */
napi_value ReplaceTop(napi_env env, napi_callback_info info);

/** unmount(target, lazy) → promise of 0 or -errno. */
napi_value Unmount(napi_env env, napi_callback_info info);

/**
 * unmountSync(target, lazy) → 0 or -errno. For the last moments of a process: `lazy` also cuts the
 * connection of a FUSE mount off.
 */
napi_value UnmountSync(napi_env env, napi_callback_info info);

/** socketPair() → [ours, theirs], both close-on-exec; throws with no descriptors left. */
napi_value SocketPair(napi_env env, napi_callback_info info);

/** receiveDescriptor(socket) → the descriptor sent over it, or -errno. Does not wait. */
napi_value ReceiveDescriptor(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
