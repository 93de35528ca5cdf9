#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <string>

#include "napi-values.h"
#include "unique-fd.h"

namespace wire {
namespace {

int Lock(const char* path) {
  for (;;) {
    UniqueFd fd(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.ok()) return -errno;
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return -errno;
    struct stat facts;
    if (::fstat(fd.get(), &facts) != 0) return -errno;
    // Its last holder may have unlinked it between our open and our lock: that one guards nothing.
    if (facts.st_nlink > 0) return fd.release();
  }
}

}  // namespace

napi_value LockFile(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const std::string path = args.String(0);
  if (!args.ok()) return nullptr;
  return Int(env, Lock(path.c_str()));
}

}  // namespace wire
