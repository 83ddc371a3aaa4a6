/* The kernel's own clock and waits, and the functions that ours stand before. */
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct timespec ng_timespec(uint64_t ns) {
  return (struct timespec){.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
}

uint64_t ng_nanoseconds(const struct timespec *time) {
  return time->tv_sec < 0 ? 0 : (uint64_t)time->tv_sec * SECOND + (uint64_t)time->tv_nsec;
}

uint64_t ng_real_now(void) {
  struct timespec time;
  ng_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
  return ng_nanoseconds(&time);
}

void ng_real_sleep(uint64_t ns) {
  struct timespec time = ng_timespec(ns);
  ng_syscall(SYS_nanosleep, &time, NULL);
}

int ng_futex_wait(uint32_t *word, uint32_t seen, uint64_t ns) {
  struct timespec time = ng_timespec(ns);
  long failed = ng_syscall(SYS_futex, word, FUTEX_WAIT, seen, ns ? &time : NULL, NULL, 0);
  return failed < 0 ? errno : 0;
}

void ng_futex_wake(uint32_t *word) {
  __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
  ng_syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

typedef void *(*dlsym_type)(void *, const char *);

void *ng_real_dlsym(void *handle, const char *name) {
  static dlsym_type real;
  if (real == NULL) {
    /* The version in which each architecture's C library first had it, then where it moved to. */
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17",
                                           "GLIBC_2.27", "GLIBC_2.0"};
    for (size_t i = 0; real == NULL && i < sizeof versions / sizeof *versions; i++)
      real = (dlsym_type)dlvsym(RTLD_NEXT, "dlsym", versions[i]);
    if (real == NULL) return NULL;
  }
  return real(handle, name);
}

void *ng_next(const char *name) { return ng_real_dlsym(RTLD_NEXT, name); }

/* Functions of which the C library keeps an older, incompatible version as well. */
void *ng_next_version(const char *name, const char *version) {
  void *found = dlvsym(RTLD_NEXT, name, version);
  return found != NULL ? found : ng_next(name);
}

struct search {
  const char *part;
  char path[PATH_MAX];
};

static int compare_path(struct dl_phdr_info *info, size_t size, void *data) {
  struct search *search = data;
  (void)size;
  if (info->dlpi_name == NULL) return 0;
  const char *base = strrchr(info->dlpi_name, '/');
  if (strstr(base ? base : info->dlpi_name, search->part) == NULL) return 0;
  snprintf(search->path, sizeof search->path, "%s", info->dlpi_name);
  return 1;
}

void *ng_library(const char *part) {
  struct search search = {.part = part};
  dl_iterate_phdr(compare_path, &search);
  return search.path[0] ? dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD) : NULL;
}

void *ng_find(const char *library, const char *name) {
  void *found = ng_next(name);
  if (found != NULL) return found;
  void *handle = ng_library(library);
  return handle != NULL ? ng_real_dlsym(handle, name) : NULL;
}
