#include "service.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <string>

#include "napi-values.h"
#include "unique-fd.h"

namespace wire {
namespace {

int Notify(const std::string& path, const std::string& text) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return -EINVAL;
  memcpy(address.sun_path, path.data(), path.size());
  // An abstract name begins with a NUL and ends with the address (unix(7)).
  if (path[0] == '@') address.sun_path[0] = '\0';
  const socklen_t length = offsetof(struct sockaddr_un, sun_path) + path.size();
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.ok()) return -errno;
  const ssize_t sent = ::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL,
                                reinterpret_cast<struct sockaddr*>(&address), length);
  return sent < 0 ? -errno : 0;
}

}  // namespace

napi_value NotifyService(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const std::string path = args.String(0);
  const std::string text = args.String(1);
  if (!args.ok()) return nullptr;
  return Int(env, Notify(path, text));
}

napi_value ReapChild(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const int32_t pid = args.Int(0);
  if (!args.ok()) return nullptr;
  // 0 and below are whole groups, with children that Node waits for.
  if (pid <= 0) return Int(env, -EINVAL);
  const pid_t reaped = ::waitpid(pid, nullptr, WNOHANG);
  return Int(env, reaped < 0 ? -errno : reaped);
}

}  // namespace wire
