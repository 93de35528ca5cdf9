/**
 * Mounting: as root by mount(2), as a user by fusermount3, which JavaScript starts and which sends
 * the descriptor over a socket. Every descriptor is close-on-exec: a child that inherited
 * /dev/fuse would keep the mount waiting for answers after we have died.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

#include "job.h"
#include "mount-api.h"
#include "napi-values.h"
#include "unique-fd.h"

namespace wire {
namespace {

/** `MISC_MAJOR` and `FUSE_MINOR` of Linux `include/linux/miscdevice.h`. */
constexpr unsigned kFuseMajor = 10;
constexpr unsigned kFuseMinor = 229;

struct MountRequest {
  int fd;
  std::string target;
  std::string source;
  std::string subtype;
  /** Options of the file system, without `fd`: `rootmode=40000,user_id=0,...`. */
  std::string options;
  /** MS_* of mount(2). */
  unsigned long flags;
};

int DirectMount(const MountRequest& request) {
  const std::string type = "fuse." + request.subtype;
  const std::string options = "fd=" + std::to_string(request.fd) + "," + request.options;
  const int result = ::mount(request.source.c_str(), request.target.c_str(), type.c_str(),
                             request.flags, options.c_str());
  return result == 0 ? 0 : -errno;
}

/** One option for the file system context: `name` or `name=value`. */
int Configure(int fs, const std::string& option) {
  const size_t equals = option.find('=');
  if (equals == std::string::npos) {
    return Fsconfig(fs, kFsconfigSetFlag, option.c_str(), nullptr);
  }
  const std::string key = option.substr(0, equals);
  const std::string value = option.substr(equals + 1);
  return Fsconfig(fs, kFsconfigSetString, key.c_str(), value.c_str());
}

int ConfigureAll(int fs, const MountRequest& request) {
  if (Configure(fs, "source=" + request.source) != 0) return -errno;
  if (Configure(fs, "subtype=" + request.subtype) != 0) return -errno;
  if (Configure(fs, "fd=" + std::to_string(request.fd)) != 0) return -errno;
  if ((request.flags & MS_RDONLY) != 0 && Configure(fs, "ro") != 0) return -errno;
  size_t from = 0;
  while (from < request.options.size()) {
    size_t comma = request.options.find(',', from);
    if (comma == std::string::npos) comma = request.options.size();
    if (Configure(fs, request.options.substr(from, comma - from)) != 0) return -errno;
    from = comma + 1;
  }
  return 0;
}

unsigned MountAttributes(unsigned long flags) {
  unsigned attributes = 0;
  if ((flags & MS_RDONLY) != 0) attributes |= kMountAttrReadOnly;
  if ((flags & MS_NOSUID) != 0) attributes |= kMountAttrNoSuid;
  if ((flags & MS_NODEV) != 0) attributes |= kMountAttrNoDev;
  if ((flags & MS_NOEXEC) != 0) attributes |= kMountAttrNoExec;
  if ((flags & MS_NOATIME) != 0) attributes |= kMountAttrNoAtime;
  return attributes;
}

/**
 * Mounts under the mount on top of `target`, then takes the top away: a program sees the old one,
 * then the new one, and never the directory below. Where the kernel cannot (before 6.5) the result
 * is the error of the first step that failed and nothing has changed.
 */
int MountBeneathAndReveal(const MountRequest& request) {
  UniqueFd fs(Fsopen("fuse"));
  if (!fs.ok()) return -errno;
  const int configured = ConfigureAll(fs.get(), request);
  if (configured != 0) return configured;
  if (Fsconfig(fs.get(), kFsconfigCmdCreate, nullptr, nullptr) != 0) return -errno;
  UniqueFd mount(Fsmount(fs.get(), MountAttributes(request.flags)));
  if (!mount.ok()) return -errno;
  if (MoveMount(mount.get(), AT_FDCWD, request.target.c_str(),
                kMoveMountFromEmptyPath | kMoveMountBeneath) != 0) {
    return -errno;
  }
  return ::umount2(request.target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 ? 0 : -errno;
}

napi_value MountBy(napi_env env, napi_callback_info info, int (*how)(const MountRequest&)) {
  Arguments<6> args(env, info);
  MountRequest request{args.Int(0),    args.String(1), args.String(2),
                       args.String(3), args.String(4), args.Uint(5)};
  if (!args.ok()) return nullptr;
  return RunJob(env, [request, how] { return how(request); });
}

int UnmountTarget(const std::string& target, int flags) {
  return ::umount2(target.c_str(), UMOUNT_NOFOLLOW | flags) == 0 ? 0 : -errno;
}

}  // namespace

napi_value OpenDevice(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const std::string path = args.String(0);
  if (!args.ok()) return nullptr;
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
  return Int(env, fd >= 0 ? fd : -errno);
}

napi_value AdoptDevice(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const int fd = args.Int(0);
  if (!args.ok()) return nullptr;
  struct stat facts;
  if (::fstat(fd, &facts) != 0) return Int(env, -errno);
  if (!S_ISCHR(facts.st_mode) || facts.st_rdev != makedev(kFuseMajor, kFuseMinor)) {
    return Int(env, -ENODEV);
  }
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return Int(env, fd);
}

napi_value CloseDescriptor(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const int fd = args.Int(0);
  if (args.ok()) ::close(fd);
  return nullptr;
}

napi_value Mount(napi_env env, napi_callback_info info) { return MountBy(env, info, DirectMount); }

napi_value ReplaceTop(napi_env env, napi_callback_info info) {
  return MountBy(env, info, MountBeneathAndReveal);
}

napi_value Unmount(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const std::string target = args.String(0);
  const bool lazy = args.Uint(1) != 0;
  if (!args.ok()) return nullptr;
  return RunJob(env, [target, lazy] { return UnmountTarget(target, lazy ? MNT_DETACH : 0); });
}

napi_value UnmountSync(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const std::string target = args.String(0);
  const bool lazy = args.Uint(1) != 0;
  if (!args.ok()) return nullptr;
  // MNT_FORCE cuts the connection off. Closing the device does not while our thread is in the
  // kernel with a notification that waits for a READ: then the process could not end either.
  return Int(env, UnmountTarget(target, lazy ? MNT_DETACH | MNT_FORCE : 0));
}

napi_value SocketPair(napi_env env, napi_callback_info) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    napi_throw_error(env, nullptr, strerror(errno));
    return nullptr;
  }
  napi_value array = nullptr;
  napi_create_array_with_length(env, 2, &array);
  napi_set_element(env, array, 0, Int(env, pair[0]));
  napi_set_element(env, array, 1, Int(env, pair[1]));
  return array;
}

napi_value ReceiveDescriptor(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const int socket = args.Int(0);
  if (!args.ok()) return nullptr;

  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return Int(env, -errno);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return Int(env, -EPROTO);
  }
  int fd = -1;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return Int(env, fd);
}

}  // namespace wire
