/* timerfd: an event counter that the thread of the timers adds to. */
#include "timers.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

EXPORT int timerfd_create(clockid_t clock, int flags) {
  if (!ng_active()) return (int)ng_syscall(SYS_timerfd_create, clock, flags);
  int options = (flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0) | (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0);
  int fd = eventfd(0, options);
  if (fd < 0) return fd;
  pthread_mutex_lock(&ng_timers_lock);
  struct timer *timer = ng_timer_of_file(fd); /* of a file that was closed past our close() */
  if (timer == NULL) timer = ng_timer_new(FILE_COUNTER);
  if (timer != NULL) *timer = (struct timer){.kind = FILE_COUNTER, .fd = fd, .next = NEVER};
  pthread_mutex_unlock(&ng_timers_lock);
  if (timer != NULL) return fd;
  ng_syscall(SYS_close, fd);
  errno = EMFILE;
  return -1;
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value,
                           struct itimerspec *old) {
  if (ng_active()) {
    pthread_mutex_lock(&ng_timers_lock);
    struct timer *timer = ng_timer_of_file(fd);
    if (timer != NULL) {
      uint64_t unread; /* setting a timer forgets what it counted */
      struct timespec now = {0};
      struct pollfd file = {fd, POLLIN, 0};
      if (ng_syscall(SYS_ppoll, &file, 1, &now, NULL, 8) > 0) ng_syscall(SYS_read, fd, &unread, 8);
      ng_timer_set(timer, flags & TFD_TIMER_ABSTIME, value, old);
    }
    pthread_mutex_unlock(&ng_timers_lock);
    if (timer != NULL) return 0;
  }
  return (int)ng_syscall(SYS_timerfd_settime, fd, flags, value, old);
}

EXPORT int timerfd_gettime(int fd, struct itimerspec *value) {
  if (ng_active()) {
    pthread_mutex_lock(&ng_timers_lock);
    const struct timer *timer = ng_timer_of_file(fd);
    if (timer != NULL) ng_timer_get(timer, value);
    pthread_mutex_unlock(&ng_timers_lock);
    if (timer != NULL) return 0;
  }
  return (int)ng_syscall(SYS_timerfd_gettime, fd, value);
}
