/* Can anything in the game still move? Asked of the kernel and not guessed from real time, or a busy
   machine would change what a game does. */
#include "sleepers.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool external;
static bool only_looks_idle;

/* The kernel's letter for a thread: R runs, S rests, D waits for a disk. 0: there is none. */
char ng_thread_state(pid_t pid, const char *tid) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%d/task/%s/stat", pid, tid);
  int fd = (int)ng_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  ssize_t size = ng_syscall(SYS_read, fd, text, sizeof text - 1);
  ng_syscall(SYS_close, fd);
  if (size <= 0) return 0;
  text[size] = 0;
  const char *end = strrchr(text, ')');
  return end != NULL && end[1] == ' ' ? end[2] : 0;
}

struct entry {
  uint64_t inode, offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

static bool all_rest(pid_t pid, pid_t except) {
  char path[32], entries[4096] __attribute__((aligned(8)));
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  int fd = (int)ng_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return true;
  bool rest = true;
  long size;
  while (rest && (size = ng_syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0)
    for (long at = 0; rest && at < size;) {
      const struct entry *entry = (const void *)(entries + at);
      at += entry->length;
      if (entry->name[0] == '.' || atoi(entry->name) == except) continue;
      char state = ng_thread_state(pid, entry->name);
      rest = state != 'R' && state != 'D';
    }
  ng_syscall(SYS_close, fd);
  return rest;
}

bool ng_others_idle(void) {
  if (external || !ng_peers_idle()) return false;
  if (only_looks_idle && !ng_is_frame_thread()) return false;
  pid_t game = NG(game_pid);
  return all_rest(ng_pid(), ng_tid()) && (game == 0 || game == ng_pid() || all_rest(game, 0));
}

void ng_set_external(bool waits) { external = waits; }

void ng_only_looks_idle(bool waits) { only_looks_idle = waits; }

void ng_idle_forget(void) { external = only_looks_idle = false; }
