/*
 * Makes system calls for its parent, one request a line: `NAME ARGUMENT...`. An argument is
 * `iN` (a number), `bHEX` (bytes to read, with a NUL after them) or `oN` (room for N bytes). The
 * answer is `VALUE ERRNO HEX...`, with what the rooms hold. `peek ADDRESS LENGTH` and
 * `poke ADDRESS HEX` touch memory; a bus error there is the errno SIGBUS_ERRNO.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGBUS_ERRNO 9999
#define MOST_ARGUMENTS 6
#define CALL(name) {#name, SYS_##name}

struct known {
  const char *name;
  long number;
};

static const struct known calls[] = {
    CALL(chdir), CALL(close), CALL(close_range), CALL(copy_file_range), CALL(dup), CALL(dup3),
    CALL(faccessat), CALL(faccessat2), CALL(fadvise64), CALL(fallocate), CALL(fchdir), CALL(fchmod),
    CALL(fchmodat), CALL(fchown), CALL(fchownat), CALL(fcntl), CALL(fdatasync), CALL(fgetxattr),
    CALL(flistxattr), CALL(flock), CALL(fremovexattr), CALL(fsetxattr), CALL(fstatfs), CALL(fsync),
    CALL(ftruncate), CALL(getdents64), CALL(getpid), CALL(getxattr), CALL(ioctl), CALL(lgetxattr),
    CALL(linkat), CALL(listxattr), CALL(llistxattr), CALL(lremovexattr), CALL(lseek), CALL(lsetxattr),
    CALL(mkdirat), CALL(mknodat), CALL(mmap), CALL(mprotect), CALL(msync), CALL(munmap),
    CALL(nanosleep), CALL(openat), CALL(openat2), CALL(pread64), CALL(preadv), CALL(preadv2),
    CALL(pwrite64), CALL(pwritev), CALL(pwritev2), CALL(read), CALL(readahead), CALL(readlinkat),
    CALL(readv), CALL(removexattr), CALL(renameat2), CALL(sendfile), CALL(setgroups),
    CALL(setresgid), CALL(setresuid), CALL(setxattr), CALL(statfs), CALL(statx), CALL(symlinkat),
    CALL(sync), CALL(sync_file_range), CALL(syncfs), CALL(truncate), CALL(umask), CALL(unlinkat),
    CALL(utimensat), CALL(write), CALL(writev),
};

static sigjmp_buf fault;

static void on_fault(int number) {
  (void)number;
  siglongjmp(fault, 1);
}

static void *need(void *memory) {
  if (memory == NULL) exit(3);
  return memory;
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static unsigned char *from_hex(const char *hex, size_t *length) {
  *length = strlen(hex) / 2;
  unsigned char *bytes = need(calloc(1, *length + 1));
  for (size_t at = 0; at < *length; at++) {
    bytes[at] = (unsigned char)(digit(hex[2 * at]) * 16 + digit(hex[2 * at + 1]));
  }
  return bytes;
}

static void say_hex(const unsigned char *bytes, size_t length) {
  static const char digits[] = "0123456789abcdef";
  putchar(' ');
  for (size_t at = 0; at < length; at++) {
    putchar(digits[bytes[at] >> 4]);
    putchar(digits[bytes[at] & 15]);
  }
}

/* Copies between memory of ours and memory that may not be there. */
static int copied(void *to, const void *from, size_t length) {
  if (sigsetjmp(fault, 1) != 0) return 0;
  memcpy(to, from, length);
  return 1;
}

static void peek(char *rest) {
  char *end;
  void *from = (void *)strtoull(rest, &end, 10);
  size_t length = strtoull(end, NULL, 10);
  unsigned char *bytes = need(calloc(1, length + 1));
  int whole = copied(bytes, from, length);
  printf("%d %d", whole ? 0 : -1, whole ? 0 : SIGBUS_ERRNO);
  say_hex(bytes, length);
  free(bytes);
}

static void poke(char *rest) {
  char *hex;
  void *to = (void *)strtoull(rest, &hex, 10);
  size_t length;
  unsigned char *bytes = from_hex(hex + strspn(hex, " "), &length);
  int whole = copied(to, bytes, length);
  printf("%d %d", whole ? 0 : -1, whole ? 0 : SIGBUS_ERRNO);
  free(bytes);
}

static void make(long number, char *rest) {
  long values[MOST_ARGUMENTS] = {0};
  unsigned char *rooms[MOST_ARGUMENTS] = {NULL};
  size_t lengths[MOST_ARGUMENTS] = {0};
  int isRoom[MOST_ARGUMENTS] = {0};
  int count = 0;
  for (char *word; count < MOST_ARGUMENTS && (word = strsep(&rest, " ")) != NULL; count++) {
    if (word[0] == 'i') {
      values[count] = (long)strtoll(word + 1, NULL, 10);
      continue;
    }
    isRoom[count] = word[0] == 'o';
    if (isRoom[count]) {
      lengths[count] = strtoull(word + 1, NULL, 10);
      rooms[count] = need(calloc(1, lengths[count] + 1));
    } else {
      rooms[count] = from_hex(word + 1, &lengths[count]);
    }
    values[count] = (long)rooms[count];
  }
  errno = 0;
  long value = syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
  printf("%ld %d", value, value == -1 ? errno : 0);
  for (int at = 0; at < count; at++) {
    if (isRoom[at]) say_hex(rooms[at], lengths[at]);
    free(rooms[at]);
  }
}

static void answer(char *line) {
  const char *name = strsep(&line, " ");
  if (strcmp(name, "peek") == 0) return peek(line);
  if (strcmp(name, "poke") == 0) return poke(line);
  for (size_t at = 0; at < sizeof calls / sizeof *calls; at++) {
    if (strcmp(calls[at].name, name) == 0) return make(calls[at].number, line);
  }
  printf("-1 %d", ENOSYS);
}

int main(void) {
  struct sigaction action = {.sa_handler = on_fault};
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  /* It never outlives the run that started it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(0);
  char *line = NULL;
  size_t room = 0;
  ssize_t length;
  while ((length = getline(&line, &room, stdin)) > 0) {
    line[length - 1] = '\0';
    answer(line);
    putchar('\n');
    fflush(stdout);
  }
  return 0;
}
