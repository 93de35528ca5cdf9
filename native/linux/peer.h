/** Who is at the other end of a Unix socket. */
#ifndef WIRE_PEER_H_
#define WIRE_PEER_H_

#include <node_api.h>

namespace wire {

/**
 * peerUid(descriptor) → the uid that the peer had when it connected (SO_PEERCRED, unix(7)), or
 * -errno: EBADF, ENOTSOCK, ENODATA when it is no connected Unix socket.
 */
napi_value PeerUid(napi_env env, napi_callback_info info);

}  // namespace wire

#endif
