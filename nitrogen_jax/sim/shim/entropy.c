/* What the system calls random follows from the seed: one stream for each thread. */
#include "shim.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STREAM (1 << 16) /* bytes of a random device that a program can read */

static __thread uint64_t state;
static __thread bool seeded;

/* splitmix64 */
static uint64_t next(void) {
  if (!seeded) {
    static uint64_t threads; /* the main thread of a process asks first, as a rule */
    uint64_t thread = ng_is_frame_thread() ? 0 : __atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
    state = NG(seed) * 0x9e3779b97f4a7c15ull ^ thread << 48;
    seeded = true;
  }
  uint64_t z = state += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

static void fill(void *out, size_t size) {
  uint8_t *bytes = out;
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    uint64_t word = next();
    size_t left = size - at;
    memcpy(bytes + at, &word, left < sizeof word ? left : sizeof word);
  }
}

EXPORT ssize_t getrandom(void *out, size_t size, unsigned flags) {
  if (!ng_active()) return ng_syscall(SYS_getrandom, out, size, flags);
  fill(out, size);
  return (ssize_t)size;
}

EXPORT int getentropy(void *out, size_t size) { return getrandom(out, size, 0) < 0 ? -1 : 0; }

EXPORT uint32_t arc4random(void) {
  uint32_t word;
  getrandom(&word, sizeof word, 0);
  return word;
}

EXPORT void arc4random_buf(void *out, size_t size) { getrandom(out, size, 0); }

EXPORT uint32_t arc4random_uniform(uint32_t bound) {
  return bound ? (uint32_t)((uint64_t)arc4random() * bound >> 32) : 0;
}

/* std::random_device::_M_getval(), which may ask the processor itself otherwise. */
EXPORT unsigned _ZNSt13random_device9_M_getvalEv(void *self);
EXPORT unsigned _ZNSt13random_device9_M_getvalEv(void *self) {
  (void)self;
  return arc4random();
}

/* The devices are files of seeded bytes. */
static bool is_device(const char *path) {
  return path != NULL && (strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0);
}

static int open_stream(int flags) {
  uint8_t bytes[4096];
  int fd = memfd_create("random", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
  if (fd < 0) return fd;
  for (size_t at = 0; at < STREAM; at += sizeof bytes) {
    fill(bytes, sizeof bytes);
    if (ng_syscall(SYS_pwrite64, fd, bytes, sizeof bytes, at) < 0) break;
  }
  return fd;
}

#define OPEN(name, folder_parameter, folder)                                               \
  EXPORT int name(folder_parameter const char *path, int flags, ...) {                     \
    mode_t mode = 0;                                                                       \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                 \
      va_list more;                                                                        \
      va_start(more, flags);                                                               \
      mode = va_arg(more, mode_t);                                                         \
      va_end(more);                                                                        \
    }                                                                                      \
    if (is_device(path) && ng_active()) return open_stream(flags);                         \
    return (int)ng_syscall(SYS_openat, folder, path, flags | LARGE, mode);                    \
  }
#ifdef __LP64__
#define LARGE 0
#else
#define LARGE O_LARGEFILE
#endif
#define NO_PARAMETER
#define FOLDER_PARAMETER int folder,
OPEN(open, NO_PARAMETER, AT_FDCWD)
OPEN(open64, NO_PARAMETER, AT_FDCWD)
OPEN(openat, FOLDER_PARAMETER, folder)
OPEN(openat64, FOLDER_PARAMETER, folder)

#define FOPEN(name)                                                    \
  EXPORT FILE *name(const char *restrict path, const char *restrict mode) { \
    typedef FILE *(*type)(const char *, const char *);                 \
    static type real;                                                  \
    if (is_device(path) && ng_active()) {                              \
      int fd = open_stream(0);                                         \
      return fd < 0 ? NULL : fdopen(fd, "r");                          \
    }                                                                  \
    if (real == NULL) real = (type)ng_next(#name);                     \
    return real(path, mode);                                           \
  }
FOPEN(fopen)
FOPEN(fopen64)
