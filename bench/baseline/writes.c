/*
 * How programs write files, timed from their side. Each prints one line of JSON.
 *   writes small FOLDER FILES WRITERS [sync|folder]   FOLDER/f00000… of 4 KiB, created, written and
 *       closed by so many processes at once; `sync`: with fdatasync(2) before each close; `folder`:
 *       with fsync(2) of FOLDER at the end, within the time
 *   writes patch FILE OFFSET                          one byte in the middle, and close(2)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES 4096
#define NAME_BYTES 16

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void print(long operations, double seconds) {
  printf("{\"operations\":%ld,\"seconds\":%.6f}\n", operations, seconds);
}

/* Each file begins with its number. */
static void write_files(int folder, long files, long *next, int sync) {
  char bytes[FILE_BYTES];
  memset(bytes, 'w', sizeof bytes);
  for (;;) {
    const long nth = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    if (nth >= files) return;
    const uint64_t stamp = (uint64_t)nth;
    memcpy(bytes, &stamp, sizeof stamp);
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "f%05ld", nth);
    const int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (file < 0) fail(name);
    if (write(file, bytes, sizeof bytes) != FILE_BYTES) fail(name);
    if (sync && fdatasync(file) != 0) fail(name);
    if (close(file) != 0) fail(name);
  }
}

static int run_small(const char *path, long files, int writers, const char *how) {
  const int folder = open(path, O_RDONLY | O_DIRECTORY);
  if (folder < 0) fail(path);
  long *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (next == MAP_FAILED) fail("mmap");
  const double started = now();
  for (int writer = 0; writer < writers; writer++) {
    if (fork() != 0) continue;
    write_files(folder, files, next, strcmp(how, "sync") == 0);
    _exit(0);
  }
  int status = 0;
  int failed = 0;
  while (wait(&status) > 0) failed |= status;
  if (strcmp(how, "folder") == 0 && fsync(folder) != 0) fail(path);
  print(files, now() - started);
  return failed != 0;
}

static int run_patch(const char *path, long offset) {
  const double started = now();
  const int file = open(path, O_WRONLY);
  if (file < 0) fail(path);
  if (pwrite(file, "!", 1, offset) != 1) fail(path);
  if (close(file) != 0) fail(path);
  print(1, now() - started);
  return 0;
}

int main(int count, char **words) {
  const char *what = count > 3 ? words[1] : "";
  if (strcmp(what, "patch") == 0) return run_patch(words[2], atol(words[3]));
  if (strcmp(what, "small") == 0 && count > 4) {
    return run_small(words[2], atol(words[3]), atoi(words[4]), count > 5 ? words[5] : "");
  }
  fprintf(stderr, "usage: %s small FOLDER FILES WRITERS [sync|folder] | patch FILE OFFSET\n",
          words[0]);
  return 2;
}
