#include "backing.h"

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "napi-values.h"

namespace wire {
namespace {

/** `struct fuse_backing_map`; headers older than 6.9 lack it. */
struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};

/** `FUSE_DEV_IOC_MAGIC` is 229. */
constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);
constexpr unsigned long kBackingClose = _IOW(229, 2, uint32_t);

}  // namespace

napi_value OpenBacking(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const int device = args.Int(0);
  const BackingMap map{args.Int(1), 0, 0};
  if (!args.ok()) return nullptr;
  const int id = ::ioctl(device, kBackingOpen, &map);
  return Int(env, id >= 0 ? id : -errno);
}

napi_value CloseBacking(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const int device = args.Int(0);
  const uint32_t id = args.Uint(1);
  if (!args.ok()) return nullptr;
  return Int(env, ::ioctl(device, kBackingClose, &id) == 0 ? 0 : -errno);
}

}  // namespace wire
