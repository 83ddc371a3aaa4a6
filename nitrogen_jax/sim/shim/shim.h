/* What the files of the shim tell each other. Every interposed function is marked EXPORT; the rest
   is hidden from the game. Nothing here may call an interposed function by its plain name: inside
   of the library that is the virtual one. */
#ifndef NGSIM_SHIM_H
#define NGSIM_SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "layout.h"
#include "raw.h"

#define EXPORT __attribute__((visibility("default")))
#define SECOND 1000000000ull
#define MILLISECOND 1000000ull
#define MICROSECOND 1000ull
#define NEVER UINT64_MAX

/* attach.c: the page, and who is the frame thread. */
extern struct ng_page *ng_page;
bool ng_active(void);
pid_t ng_pid(void);
pid_t ng_tid(void);
bool ng_is_frame_thread(void);
void ng_become_frame_thread(void);
void ng_forget_dead_game(void);

/* real.c: the kernel's clock and futexes, past all interposition, and the functions replaced. */
uint64_t ng_real_now(void);
void ng_real_sleep(uint64_t ns);
int ng_futex_wait(uint32_t *word, uint32_t seen, uint64_t ns); /* ns 0: no limit; errno, or 0 */
void ng_futex_wake(uint32_t *word);                            /* moves the word and wakes all */
void *ng_real_dlsym(void *handle, const char *name);
void *ng_next(const char *name);                     /* the function after ours */
void *ng_next_version(const char *name, const char *version);
void *ng_library(const char *part);                  /* handle of a loaded library, or NULL */
void *ng_find(const char *library, const char *name); /* next, else in that library */
struct timespec ng_timespec(uint64_t ns);
uint64_t ng_nanoseconds(const struct timespec *time);

/* clock.c */
uint64_t ng_now(void);                 /* virtual monotonic time, without counting a read */
void ng_advance(uint64_t to);          /* LOCK: forward to this time, wakes who waits for it */
uint64_t ng_from_absolute(const struct timespec *time); /* a deadline of either clock */
void ng_reset_spin(void);

/* sleepers.c: the threads that wait for a virtual time. */
void ng_sleepers_forget(void); /* in a forked child */
uint64_t ng_deadline_after(uint64_t time); /* first one of the other threads that are waited for */
bool ng_anyone_due(uint64_t now);          /* does somebody wait for this time or an earlier one? */

/* idle.c */
bool ng_others_idle(void); /* no other thread of this process or of the game can run */
void ng_set_external(bool waits); /* the frame thread waits for something outside of the game */
char ng_thread_state(pid_t pid, const char *tid); /* the kernel's letter; 0: there is none */
void ng_idle_forget(void); /* in a forked child */

/* quiesce.c */
void ng_move_to(uint64_t to);  /* LOCK: moves time; the frame thread then waits for who wakes */
void ng_stir(void);            /* a thread was set going that no slot tells of */
bool ng_stirring(void);
void ng_settle(void); /* if it is wanted: until no other thread can run */

/* waits.c */
bool ng_sleep_until(uint64_t deadline); /* false: a signal came first */
/* One timed wait for something that is not time alone: ask for slices until it is over. */
struct ng_wait {
  uint64_t deadline, started, moved, seen;
  bool frame_thread;
};
void ng_wait_begin(struct ng_wait *wait, uint64_t deadline);
uint64_t ng_wait_slice(struct ng_wait *wait); /* real ns to wait now; 0: the deadline is over */
void ng_wait_end(void);

/* peers.c */
bool ng_peers_idle(void);
void ng_peer_closed(int fd);

/* timers.c */
bool ng_is_timer(int fd);
void ng_timers_forget(void); /* in a forked child */

/* boundary.c: what happens around the real present call. */
bool ng_enter(void);  /* false: inside of another hook already, or not active */
bool ng_wants_pixels(void);
void ng_boundary(enum ng_kind kind); /* counts the frame and parks */
void ng_leave(void);
uint64_t ng_begin_pixels(void);
void ng_end_pixels(uint64_t began, int width, int height, enum ng_format format, bool bottom_up);
bool ng_pixels_fit(int width, int height);
void ng_boundary_forget(void); /* in a forked child */

/* capture_gl.c, surface.c */
void ng_capture_gl(int width, int height);
struct ng_surface {
  const uint8_t *pixels;
  int width, height, pitch, bytes;    /* of a pixel: 1 to 4 */
  uint32_t red, green, blue;          /* masks */
  const uint8_t *palette;             /* RGBx quadruples of one-byte pixels, else NULL */
  int colours;
};
void ng_capture_surface(const struct ng_surface *surface);

/* pad.c */
void ng_pad_attach(void); /* after SDL2's joysticks were initialised */
void ng_pad_push(void);   /* for SDL2 versions without a callback */

bool ng_sdl1_is_sdl2(void);
void *ng_sdl_hook(void *handle, const char *name);

/* hooks.c: name -> our function, for those who ask dlsym and its kin. */
void *ng_hook(const char *name);

#endif
