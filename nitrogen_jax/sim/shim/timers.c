/* Timers that go off at virtual times: timerfd, setitimer, alarm, timer_create.

   One thread of the shim sleeps until the first of them. A timerfd is an event counter that this
   thread adds to: reading either gives the number of times it went off. */
#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TIMERS 128

enum kind { FREE, FILE_COUNTER, ALARM, POSIX };
struct timer {
  enum kind kind;
  int fd;
  uint64_t next, interval; /* next: NEVER where it is not set */
  struct sigevent event;
  int overrun;
};
static struct timer table[TIMERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool running;
static uint32_t changed; /* futex of the thread */

void ng_timers_forget(void) {
  /* A child inherits the counters of timerfds but, as the kernel has it, no other timer. */
  pthread_mutex_init(&lock, NULL);
  running = false;
  for (struct timer *timer = table; timer < table + TIMERS; timer++)
    if (timer->kind != FREE) *timer = (struct timer){.kind = FREE};
}

static void notify(const struct timer *timer) {
  const struct sigevent *event = &timer->event;
  if (timer->kind == ALARM) {
    ng_syscall(SYS_kill, ng_pid(), SIGALRM);
  } else if (event->sigev_notify == SIGEV_SIGNAL || event->sigev_notify == SIGEV_THREAD_ID) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = event->sigev_signo;
    info.si_code = SI_TIMER;
    info.si_timerid = (int)(timer - table);
    info.si_value = event->sigev_value;
    if (event->sigev_notify == SIGEV_SIGNAL)
      ng_syscall(SYS_rt_sigqueueinfo, ng_pid(), info.si_signo, &info);
    else
      ng_syscall(SYS_rt_tgsigqueueinfo, ng_pid(), event->_sigev_un._tid, info.si_signo, &info);
  } else if (event->sigev_notify == SIGEV_THREAD) {
    pthread_t thread;
    typedef void *(*body)(void *);
    /* NOTE: its result is never read, and calling it as returning nothing or a pointer is one. */
    void (*function)(union sigval) = event->sigev_notify_function;
    body start;
    memcpy(&start, &function, sizeof start);
    if (pthread_create(&thread, NULL, start, event->sigev_value.sival_ptr) == 0)
      pthread_detach(thread);
  }
}

static void go_off(struct timer *timer, uint64_t now) {
  uint64_t times = 1;
  if (timer->interval) {
    times += (now - timer->next) / timer->interval;
    timer->next += times * timer->interval;
  } else {
    timer->next = NEVER;
  }
  __atomic_add_fetch(&NG(timers), times, __ATOMIC_RELAXED);
  timer->overrun = (int)(times - 1);
  ng_stir();
  if (timer->kind == FILE_COUNTER)
    ng_syscall(SYS_write, timer->fd, &times, sizeof times);
  else
    notify(timer);
}

static uint64_t run_due(void) {
  uint64_t first = NEVER, now = ng_now();
  pthread_mutex_lock(&lock);
  for (struct timer *timer = table; timer < table + TIMERS; timer++) {
    if (timer->kind == FREE || timer->next == NEVER) continue;
    if (timer->next <= now) go_off(timer, now);
    if (timer->next < first) first = timer->next;
  }
  pthread_mutex_unlock(&lock);
  return first;
}

static void *serve(void *unused) {
  (void)unused;
  struct ng_wait wait;
  for (;;) {
    uint32_t before = __atomic_load_n(&changed, __ATOMIC_SEQ_CST);
    uint64_t first = run_due();
    ng_wait_begin(&wait, first);
    while (__atomic_load_n(&changed, __ATOMIC_SEQ_CST) == before) {
      uint32_t word = __atomic_load_n(&NG(grant_word), __ATOMIC_SEQ_CST);
      if (first == NEVER) {
        ng_futex_wait(&changed, before, 0);
      } else {
        uint64_t slice = ng_wait_slice(&wait);
        if (slice == 0) break;
        ng_futex_wait(&NG(grant_word), word, slice);
      }
    }
    ng_wait_end();
  }
  return NULL;
}

/* With the lock held. */
static void start_thread(void) {
  if (running) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are for the game's own threads */
  pthread_t thread;
  running = pthread_create(&thread, NULL, serve, NULL) == 0;
  if (running) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct timer *find_file(int fd) {
  for (struct timer *timer = table; timer < table + TIMERS; timer++)
    if (timer->kind == FILE_COUNTER && timer->fd == fd) return timer;
  return NULL;
}

/* With the lock held: a free row, or NULL. */
static struct timer *new_timer(enum kind kind) {
  for (struct timer *timer = table; timer < table + TIMERS; timer++)
    if (timer->kind == FREE) {
      *timer = (struct timer){.kind = kind, .fd = -1, .next = NEVER};
      return timer;
    }
  return NULL;
}

static void tell(struct timer *timer, uint64_t *left, uint64_t *interval) {
  uint64_t now = ng_now();
  *left = timer->next == NEVER ? 0 : timer->next > now ? timer->next - now : 1;
  *interval = timer->interval;
}

static void set(struct timer *timer, uint64_t next, uint64_t interval) {
  timer->next = next;
  timer->interval = interval;
  start_thread();
  __atomic_add_fetch(&changed, 1, __ATOMIC_SEQ_CST);
  ng_syscall(SYS_futex, &changed, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
  ng_futex_wake(&NG(grant_word));
}

bool ng_is_timer(int fd) {
  pthread_mutex_lock(&lock);
  bool is = find_file(fd) != NULL;
  pthread_mutex_unlock(&lock);
  return is;
}

static void set_from(struct timer *timer, bool absolute, const struct itimerspec *value,
                     struct itimerspec *old) {
  uint64_t left, interval;
  tell(timer, &left, &interval);
  if (old != NULL) *old = (struct itimerspec){ng_timespec(interval), ng_timespec(left)};
  uint64_t first = ng_nanoseconds(&value->it_value);
  uint64_t next = first == 0 ? NEVER
                  : absolute ? ng_from_absolute(&value->it_value)
                             : ng_now() + first;
  set(timer, next, ng_nanoseconds(&value->it_interval));
}

static int get_into(const struct timer *timer, struct itimerspec *out) {
  uint64_t left, interval;
  tell((struct timer *)timer, &left, &interval);
  *out = (struct itimerspec){ng_timespec(interval), ng_timespec(left)};
  return 0;
}

/* ---- timerfd */

EXPORT int timerfd_create(clockid_t clock, int flags) {
  if (!ng_active()) return (int)ng_syscall(SYS_timerfd_create, clock, flags);
  int options = (flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0) | (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0);
  int fd = eventfd(0, options);
  if (fd < 0) return fd;
  pthread_mutex_lock(&lock);
  struct timer *timer = find_file(fd); /* of a file that was closed past our close() */
  if (timer == NULL) timer = new_timer(FILE_COUNTER);
  if (timer != NULL) *timer = (struct timer){.kind = FILE_COUNTER, .fd = fd, .next = NEVER};
  pthread_mutex_unlock(&lock);
  if (timer != NULL) return fd;
  ng_syscall(SYS_close, fd);
  errno = EMFILE;
  return -1;
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value,
                           struct itimerspec *old) {
  if (ng_active()) {
    pthread_mutex_lock(&lock);
    struct timer *timer = find_file(fd);
    if (timer != NULL) {
      uint64_t unread; /* setting a timer forgets what it counted */
      struct timespec now = {0};
      struct pollfd_like { int fd; short events, got; } file = {fd, 1, 0};
      if (ng_syscall(SYS_ppoll, &file, 1, &now, NULL, 8) > 0) ng_syscall(SYS_read, fd, &unread, 8);
      set_from(timer, flags & TFD_TIMER_ABSTIME, value, old);
    }
    pthread_mutex_unlock(&lock);
    if (timer != NULL) return 0;
  }
  return (int)ng_syscall(SYS_timerfd_settime, fd, flags, value, old);
}

EXPORT int timerfd_gettime(int fd, struct itimerspec *value) {
  if (ng_active()) {
    pthread_mutex_lock(&lock);
    const struct timer *timer = find_file(fd);
    if (timer != NULL) get_into(timer, value);
    pthread_mutex_unlock(&lock);
    if (timer != NULL) return 0;
  }
  return (int)ng_syscall(SYS_timerfd_gettime, fd, value);
}

EXPORT int close(int fd) {
  ng_peer_closed(fd);
  if (ng_page != NULL && running) {
    pthread_mutex_lock(&lock);
    struct timer *timer = find_file(fd);
    if (timer != NULL) timer->kind = FREE;
    pthread_mutex_unlock(&lock);
  }
  return (int)ng_syscall(SYS_close, fd);
}

/* ---- setitimer and alarm: one timer of real time for each process */

static struct timer *alarm_timer(void) {
  for (struct timer *timer = table; timer < table + TIMERS; timer++)
    if (timer->kind == ALARM) return timer;
  return new_timer(ALARM);
}

static struct itimerspec precise(const struct itimerval *value) {
  return (struct itimerspec){
      .it_interval = {value->it_interval.tv_sec, value->it_interval.tv_usec * 1000},
      .it_value = {value->it_value.tv_sec, value->it_value.tv_usec * 1000}};
}

static struct itimerval coarse(const struct itimerspec *value) {
  return (struct itimerval){
      .it_interval = {value->it_interval.tv_sec, value->it_interval.tv_nsec / 1000},
      .it_value = {value->it_value.tv_sec, value->it_value.tv_nsec / 1000}};
}

EXPORT int setitimer(__itimer_which_t which, const struct itimerval *restrict value,
                     struct itimerval *restrict old) {
  if (!ng_active() || which != ITIMER_REAL) return (int)ng_syscall(SYS_setitimer, which, value, old);
  struct itimerspec wanted = precise(value), before;
  pthread_mutex_lock(&lock);
  struct timer *timer = alarm_timer();
  if (timer != NULL) set_from(timer, false, &wanted, &before);
  pthread_mutex_unlock(&lock);
  if (timer == NULL) {
    errno = EAGAIN;
    return -1;
  }
  if (old != NULL) *old = coarse(&before);
  return 0;
}

EXPORT int getitimer(__itimer_which_t which, struct itimerval *value) {
  if (!ng_active() || which != ITIMER_REAL) return (int)ng_syscall(SYS_getitimer, which, value);
  struct itimerspec now = {0};
  pthread_mutex_lock(&lock);
  const struct timer *timer = alarm_timer();
  if (timer != NULL) get_into(timer, &now);
  pthread_mutex_unlock(&lock);
  *value = coarse(&now);
  return 0;
}

EXPORT unsigned alarm(unsigned seconds) {
  struct itimerval value = {.it_value = {.tv_sec = seconds}}, old = {0};
  if (setitimer(ITIMER_REAL, &value, &old) < 0) return 0;
  return (unsigned)old.it_value.tv_sec + (old.it_value.tv_usec > 0);
}

/* ---- timer_create: a timer is its row in the table, plus one, as a pointer */

static struct timer *posix_timer(timer_t id) {
  uintptr_t row = (uintptr_t)id - 1;
  return row < TIMERS && table[row].kind == POSIX ? &table[row] : NULL;
}

#define PASS_ON(name, type, ...)                              \
  static type real;                                           \
  if (real == NULL) real = (type)ng_next_version(name, "GLIBC_2.3.3"); \
  return real(__VA_ARGS__)

EXPORT int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict id) {
  bool real_time = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
  if (!ng_active() || !real_time) {
    typedef int (*type)(clockid_t, struct sigevent *, timer_t *);
    PASS_ON("timer_create", type, clock, event, id);
  }
  pthread_mutex_lock(&lock);
  struct timer *timer = new_timer(POSIX);
  if (timer != NULL) {
    timer->event = event != NULL ? *event
                                 : (struct sigevent){.sigev_notify = SIGEV_SIGNAL,
                                                     .sigev_signo = SIGALRM};
    *id = (timer_t)(uintptr_t)(timer - table + 1);
  }
  pthread_mutex_unlock(&lock);
  if (timer == NULL) errno = EAGAIN;
  return timer != NULL ? 0 : -1;
}

EXPORT int timer_settime(timer_t id, int flags, const struct itimerspec *restrict value,
                         struct itimerspec *restrict old) {
  pthread_mutex_lock(&lock);
  struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) set_from(timer, flags & TIMER_ABSTIME, value, old);
  pthread_mutex_unlock(&lock);
  if (timer != NULL) return 0;
  typedef int (*type)(timer_t, int, const struct itimerspec *, struct itimerspec *);
  PASS_ON("timer_settime", type, id, flags, value, old);
}

EXPORT int timer_gettime(timer_t id, struct itimerspec *value) {
  pthread_mutex_lock(&lock);
  const struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) get_into(timer, value);
  pthread_mutex_unlock(&lock);
  if (timer != NULL) return 0;
  typedef int (*type)(timer_t, struct itimerspec *);
  PASS_ON("timer_gettime", type, id, value);
}

EXPORT int timer_getoverrun(timer_t id) {
  const struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) return timer->overrun;
  typedef int (*type)(timer_t);
  PASS_ON("timer_getoverrun", type, id);
}

EXPORT int timer_delete(timer_t id) {
  pthread_mutex_lock(&lock);
  struct timer *timer = ng_active() ? posix_timer(id) : NULL;
  if (timer != NULL) timer->kind = FREE;
  pthread_mutex_unlock(&lock);
  if (timer != NULL) return 0;
  typedef int (*type)(timer_t);
  PASS_ON("timer_delete", type, id);
}
