/**
 * What JavaScript cannot do itself on Linux: mount(2) and umount2(2), descriptors over sockets and
 * who is at their other end, locks, ioctls, keyrings, services, and /dev/fuse on the event loop. Only system
 * calls: the protocol is in src/fuse/protocol.
 */
#include <node_api.h>

#include "backing.h"
#include "channel.h"
#include "fusectl.h"
#include "keyring.h"
#include "lock.h"
#include "mount.h"
#include "peer.h"
#include "process.h"
#include "service.h"

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
#define WIRE_FUNCTION(name, function) \
  { name, nullptr, wire::function, nullptr, nullptr, nullptr, napi_enumerable, nullptr }
      WIRE_FUNCTION("openDevice", OpenDevice),
      WIRE_FUNCTION("adoptDevice", AdoptDevice),
      WIRE_FUNCTION("closeDescriptor", CloseDescriptor),
      WIRE_FUNCTION("mount", Mount),
      WIRE_FUNCTION("replaceTop", ReplaceTop),
      WIRE_FUNCTION("unmount", Unmount),
      WIRE_FUNCTION("unmountSync", UnmountSync),
      WIRE_FUNCTION("socketPair", SocketPair),
      WIRE_FUNCTION("receiveDescriptor", ReceiveDescriptor),
      WIRE_FUNCTION("openBacking", OpenBacking),
      WIRE_FUNCTION("closeBacking", CloseBacking),
      WIRE_FUNCTION("abortConnection", AbortConnection),
      WIRE_FUNCTION("lockFile", LockFile),
      WIRE_FUNCTION("keyringAdd", KeyringAdd),
      WIRE_FUNCTION("keyringRead", KeyringRead),
      WIRE_FUNCTION("keyringUnlink", KeyringUnlink),
      WIRE_FUNCTION("forbidDump", ForbidDump),
      WIRE_FUNCTION("peerUid", PeerUid),
      WIRE_FUNCTION("notifyService", NotifyService),
      WIRE_FUNCTION("reapChild", ReapChild),
#undef WIRE_FUNCTION
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  wire::Channel::Define(env, exports);
  return exports;
}
