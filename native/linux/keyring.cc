#include "keyring.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "napi-values.h"

namespace wire {
namespace {

constexpr char kType[] = "user";

/**
 * Rights of a key, eight bits each for possessor, user, group and others (keyctl_setperm(3)):
 * view 0x01, read 0x02, write 0x04, search 0x08, link 0x10, setattr 0x20. A process need not
 * possess the user keyring (its session keyring may lack the link), so the user has all of them.
 */
constexpr unsigned kUserAll = 0x3f3f0000;

/** glibc has no wrappers: keyutils has them, and is not everywhere. */
long Keyctl(int operation, unsigned long a, unsigned long b = 0, unsigned long c = 0,
            unsigned long d = 0) {
  return ::syscall(SYS_keyctl, operation, a, b, c, d);
}

long Find(const std::string& description) {
  return Keyctl(KEYCTL_SEARCH, static_cast<unsigned long>(KEY_SPEC_USER_KEYRING),
                reinterpret_cast<unsigned long>(kType),
                reinterpret_cast<unsigned long>(description.c_str()), 0);
}

}  // namespace

napi_value KeyringAdd(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const std::string description = args.String(0);
  const Bytes bytes = args.View(1);
  if (!args.ok()) return nullptr;
  const long key = ::syscall(SYS_add_key, kType, description.c_str(), bytes.start, bytes.length,
                             KEY_SPEC_USER_KEYRING);
  if (key < 0) return Int(env, -errno);
  if (Keyctl(KEYCTL_SETPERM, static_cast<unsigned long>(key), kUserAll) < 0) {
    return Int(env, -errno);
  }
  return Int(env, 0);
}

napi_value KeyringRead(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  const std::string description = args.String(0);
  const Bytes into = args.View(1);
  if (!args.ok()) return nullptr;
  const long key = Find(description);
  if (key < 0) return Int(env, -errno);
  const long length = Keyctl(KEYCTL_READ, static_cast<unsigned long>(key),
                             reinterpret_cast<unsigned long>(into.start), into.length);
  return Int(env, static_cast<int32_t>(length < 0 ? -errno : length));
}

napi_value KeyringUnlink(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  const std::string description = args.String(0);
  if (!args.ok()) return nullptr;
  const long key = Find(description);
  if (key < 0) return Int(env, -errno);
  const long done = Keyctl(KEYCTL_UNLINK, static_cast<unsigned long>(key),
                           static_cast<unsigned long>(KEY_SPEC_USER_KEYRING));
  return Int(env, static_cast<int32_t>(done < 0 ? -errno : 0));
}

}  // namespace wire
