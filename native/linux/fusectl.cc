#include "fusectl.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "job.h"
#include "mount-api.h"
#include "napi-values.h"
#include "unique-fd.h"

namespace wire {
namespace {

int Abort(uint32_t minor) {
  UniqueFd fs(Fsopen("fusectl"));
  if (!fs.ok()) return -errno;
  if (Fsconfig(fs.get(), kFsconfigCmdCreate, nullptr, nullptr) != 0) return -errno;
  const UniqueFd root(Fsmount(fs.get(), 0));
  if (!root.ok()) return -errno;
  const std::string path = std::to_string(minor) + "/abort";
  const UniqueFd file(::openat(root.get(), path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.ok()) return -errno;
  return ::write(file.get(), "1", 1) == 1 ? 0 : -errno;
}

}  // namespace

napi_value AbortConnection(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const uint32_t minor = args.Uint(0);
  if (!args.ok()) return nullptr;
  return RunJob(env, [minor] { return Abort(minor); });
}

}  // namespace wire
