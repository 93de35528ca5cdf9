#include "peer.h"

#include <errno.h>
#include <sys/socket.h>

#include "napi-values.h"

namespace wire {
namespace {

/** A double: uids go up to 2^32 - 2, beyond what an int32 holds. */
double UidOf(int descriptor) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -errno;
  // Of a socket without a peer the kernel tells an invalid uid, and no error.
  if (length != sizeof peer || peer.uid == static_cast<uid_t>(-1)) return -ENODATA;
  return peer.uid;
}

}  // namespace

napi_value PeerUid(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const int32_t descriptor = args.Int(0);
  if (!args.ok()) return nullptr;
  napi_value value = nullptr;
  napi_create_double(env, UidOf(descriptor), &value);
  return value;
}

}  // namespace wire
