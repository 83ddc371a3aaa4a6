/* Timed waits for files and signals: poll, select, epoll, sigtimedwait. */
#include "shim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNALS 8 /* bytes of the kernel's set of signals */

/* Repeats `call`, which waits for `slice` real ns, until it brings something or the time is over.
   The first call only looks: what is there already costs no time. */
#define IN_SLICES(result, span, slice, call)                      \
  do {                                                            \
    struct timespec slice = {0};                                  \
    (result) = (call);                                            \
    if ((result) != 0) break;                                     \
    struct ng_wait wait;                                          \
    ng_wait_begin(&wait, ng_now() + (span));                      \
    for (uint64_t ns; (result) == 0 && (ns = ng_wait_slice(&wait)) != 0;) { \
      slice = ng_timespec(ns);                                    \
      (result) = (call);                                          \
    }                                                             \
    ng_wait_end();                                                \
  } while (0)

static bool none(const struct timespec *time) { return time->tv_sec == 0 && time->tv_nsec == 0; }

static int poll_for(struct pollfd *files, nfds_t number, uint64_t ns, const sigset_t *mask) {
  int result;
  IN_SLICES(result, ns, slice, (int)ng_syscall(SYS_ppoll, files, number, &slice, mask, SIGNALS));
  return result;
}

/* One file and no limit is how a frame thread waits for the display's answer, which comes by
   itself; time that moved meanwhile would differ from run to run. */
static bool waits_for_display(const struct pollfd *files, nfds_t number) {
  return number == 1 && ng_is_frame_thread() && !ng_is_timer(files[0].fd);
}

static int poll_forever(struct pollfd *files, nfds_t number, const sigset_t *mask) {
  bool display = waits_for_display(files, number);
  if (display) ng_set_external(true);
  int result = (int)ng_syscall(SYS_ppoll, files, number, NULL, mask, SIGNALS);
  if (display) ng_set_external(false);
  return result;
}

EXPORT int ppoll(struct pollfd *files, nfds_t number, const struct timespec *time,
                 const sigset_t *mask) {
  /* The kernel writes the time that is left into its argument, the C library must not. */
  struct timespec copy = time != NULL ? *time : (struct timespec){0};
  if (!ng_active() || (time != NULL && none(time)))
    return (int)ng_syscall(SYS_ppoll, files, number, time != NULL ? &copy : NULL, mask, SIGNALS);
  if (time == NULL) return poll_forever(files, number, mask);
  return poll_for(files, number, ng_nanoseconds(time), mask);
}

EXPORT int poll(struct pollfd *files, nfds_t number, int milliseconds) {
  struct timespec time = ng_timespec(milliseconds > 0 ? (uint64_t)milliseconds * MILLISECOND : 0);
  return ppoll(files, number, milliseconds < 0 ? NULL : &time, NULL);
}

static int select_raw(int number, fd_set *read, fd_set *write, fd_set *except,
                      struct timespec *time, const sigset_t *mask) {
  struct {
    const sigset_t *mask;
    size_t size;
  } signals = {mask, SIGNALS};
  return (int)ng_syscall(SYS_pselect6, number, read, write, except, time,
                      mask != NULL ? &signals : NULL);
}

static int select_for(int number, fd_set *read, fd_set *write, fd_set *except, uint64_t ns,
                      const sigset_t *mask) {
  if (read == NULL && write == NULL && except == NULL && mask == NULL) {
    if (ng_sleep_until(ng_now() + ns)) return 0;
    errno = EINTR;
    return -1;
  }
  /* The kernel clears the sets: each call gets copies. */
  fd_set r, w, e;
  int result;
#define COPY(set, copy) ((set) != NULL ? ((copy) = *(set), &(copy)) : NULL)
  IN_SLICES(result, ns, slice,
            select_raw(number, COPY(read, r), COPY(write, w), COPY(except, e), &slice, mask));
  if (result >= 0) {
    if (read != NULL) *read = r;
    if (write != NULL) *write = w;
    if (except != NULL) *except = e;
  }
  return result;
}

EXPORT int pselect(int number, fd_set *restrict read, fd_set *restrict write,
                   fd_set *restrict except, const struct timespec *restrict time,
                   const sigset_t *restrict mask) {
  struct timespec copy = time != NULL ? *time : (struct timespec){0};
  if (!ng_active() || time == NULL || none(time))
    return select_raw(number, read, write, except, time != NULL ? &copy : NULL, mask);
  return select_for(number, read, write, except, ng_nanoseconds(time), mask);
}

EXPORT int select(int number, fd_set *restrict read, fd_set *restrict write,
                  fd_set *restrict except, struct timeval *restrict time) {
  if (time == NULL) return pselect(number, read, write, except, NULL, NULL);
  struct timespec span = {.tv_sec = time->tv_sec + time->tv_usec / 1000000,
                          .tv_nsec = time->tv_usec % 1000000 * 1000};
  uint64_t began = ng_active() ? ng_now() : 0;
  int result = pselect(number, read, write, except, &span, NULL);
  if (ng_active()) { /* as Linux does: what is left */
    uint64_t all = ng_nanoseconds(&span), passed = ng_now() - began;
    struct timespec left = ng_timespec(all > passed ? all - passed : 0);
    *time = (struct timeval){left.tv_sec, left.tv_nsec / 1000};
  }
  return result;
}

static int epoll_raw(int epoll, struct epoll_event *events, int most, const struct timespec *time,
                     const sigset_t *mask) {
  /* Kernels before 5.11 know milliseconds alone; a slice is never more than a few of them. */
  int milliseconds = time == NULL ? -1 : (int)(time->tv_sec * 1000 + (time->tv_nsec + 999999) / 1000000);
  return (int)ng_syscall(SYS_epoll_pwait, epoll, events, most, milliseconds, mask, SIGNALS);
}

EXPORT int epoll_pwait2(int epoll, struct epoll_event *events, int most,
                        const struct timespec *time, const sigset_t *mask) {
  if (!ng_active() || time == NULL || none(time)) return epoll_raw(epoll, events, most, time, mask);
  int result;
  IN_SLICES(result, ng_nanoseconds(time), slice, epoll_raw(epoll, events, most, &slice, mask));
  return result;
}

EXPORT int epoll_pwait(int epoll, struct epoll_event *events, int most, int milliseconds,
                       const sigset_t *mask) {
  struct timespec time = ng_timespec(milliseconds > 0 ? (uint64_t)milliseconds * MILLISECOND : 0);
  return epoll_pwait2(epoll, events, most, milliseconds < 0 ? NULL : &time, mask);
}

EXPORT int epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds) {
  return epoll_pwait(epoll, events, most, milliseconds, NULL);
}

EXPORT int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                        const struct timespec *restrict time) {
  struct timespec copy = time != NULL ? *time : (struct timespec){0};
  if (!ng_active() || time == NULL || none(time))
    return (int)ng_syscall(SYS_rt_sigtimedwait, set, info, time != NULL ? &copy : NULL, SIGNALS);
  int result;
  /* EAGAIN says that the slice was over. */
#define TAKE(slice)                                                                  \
  ({                                                                                 \
    long taken = ng_syscall(SYS_rt_sigtimedwait, set, info, slice, SIGNALS);            \
    taken < 0 && errno == EAGAIN ? 0 : (int)taken;                                   \
  })
  IN_SLICES(result, ng_nanoseconds(time), slice, TAKE(&slice));
  if (result == 0) {
    errno = EAGAIN;
    return -1;
  }
  return result;
}
