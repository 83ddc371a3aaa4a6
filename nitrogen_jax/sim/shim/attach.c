/* Maps the shared page into every process of the game, and knows which thread draws its frames. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ng_page *ng_page;
static bool looked;
static pid_t frame_tid; /* of this process, if its frames are the ones that count */
static pid_t own_pid;
static __thread pid_t own_tid;

static void in_forked_child(void) {
  own_tid = 0;
  own_pid = frame_tid = getpid();
  ng_sleepers_forget();
  ng_idle_forget();
  ng_timers_forget();
  ng_boundary_forget();
}

static struct ng_page *map_page(void) {
  const char *path = getenv("NGSIM_PAGE");
  if (path == NULL) return NULL;
  int fd = (int)ng_syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return NULL;
  size_t size = NG_HEADER;
  struct ng_page *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  bool fits = page != MAP_FAILED && page->magic[0] == NG_MAGIC &&
              page->version[0] == NG_VERSION && page->size[0] == NG_HEADER;
  if (fits) {
    size += page->capacity[0];
    munmap(page, NG_HEADER);
    page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  close(fd);
  return fits && page != MAP_FAILED ? page : NULL;
}

static void look_once(void) {
  /* NOTE: libraries read the clock before constructors run, so this may come from anywhere. */
  if (looked) return;
  ng_page = map_page();
  own_pid = frame_tid = getpid();
  looked = true;
  if (ng_page == NULL) return;
  __atomic_add_fetch(&NG(attached), 1, __ATOMIC_SEQ_CST);
  NG(last_pid) = getpid();
  pthread_atfork(NULL, NULL, in_forked_child);
}

__attribute__((constructor)) static void at_load(void) { look_once(); }

bool ng_active(void) {
  if (!looked) look_once();
  return ng_page != NULL;
}

/* Kept, because every reading of the clock asks for it. */
pid_t ng_pid(void) { return own_pid; }

pid_t ng_tid(void) {
  if (own_tid == 0) own_tid = (pid_t)ng_syscall(SYS_gettid);
  return own_tid;
}

/* Before the first frame, the main thread of every process leads; after it, one thread of one. */
bool ng_is_frame_thread(void) {
  pid_t game = NG(game_pid);
  return (game == 0 || game == own_pid) && ng_tid() == frame_tid;
}

void ng_become_frame_thread(void) {
  frame_tid = ng_tid();
  NG(game_pid) = own_pid;
}

/* A launcher that showed a window and went: its successor leads. */
void ng_forget_dead_game(void) {
  pid_t game = NG(game_pid);
  if (game == 0 || game == own_pid) return;
  if (ng_syscall(SYS_kill, game, 0) < 0 && errno == ESRCH) {
    NG(parked) = 0;
    __atomic_compare_exchange_n(&NG(game_pid), &game, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  }
}
