/**
 * The kernel's mount API of descriptors (Linux 5.2; `linux/mount.h`), called by number: glibc has
 * wrappers only since 2.36, and older kernel headers lack the newest flag.
 */
#ifndef WIRE_MOUNT_API_H_
#define WIRE_MOUNT_API_H_

#include <sys/syscall.h>
#include <unistd.h>

namespace wire {

/** The same numbers on every architecture (`asm-generic/unistd.h`). */
constexpr long kSysMoveMount = 429;
constexpr long kSysFsopen = 430;
constexpr long kSysFsconfig = 431;
constexpr long kSysFsmount = 432;

constexpr unsigned kFsopenCloexec = 0x1;
constexpr unsigned kFsmountCloexec = 0x1;
constexpr unsigned kFsconfigSetFlag = 0;
constexpr unsigned kFsconfigSetString = 1;
constexpr unsigned kFsconfigCmdCreate = 6;

constexpr unsigned kMountAttrReadOnly = 0x1;
constexpr unsigned kMountAttrNoSuid = 0x2;
constexpr unsigned kMountAttrNoDev = 0x4;
constexpr unsigned kMountAttrNoExec = 0x8;
constexpr unsigned kMountAttrNoAtime = 0x10;

constexpr unsigned kMoveMountFromEmptyPath = 0x4;
/** Linux 6.5: puts the mount under the one on top, which stays in sight. */
constexpr unsigned kMoveMountBeneath = 0x200;

inline int Fsopen(const char* type) {
  return static_cast<int>(syscall(kSysFsopen, type, kFsopenCloexec));
}
inline int Fsconfig(int fs, unsigned command, const char* key, const char* value) {
  return static_cast<int>(syscall(kSysFsconfig, fs, command, key, value, 0));
}
inline int Fsmount(int fs, unsigned attributes) {
  return static_cast<int>(syscall(kSysFsmount, fs, kFsmountCloexec, attributes));
}
inline int MoveMount(int from, int to_directory, const char* to, unsigned flags) {
  return static_cast<int>(syscall(kSysMoveMount, from, "", to_directory, to, flags));
}

}  // namespace wire

#endif
