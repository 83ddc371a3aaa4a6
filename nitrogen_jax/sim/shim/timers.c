/* Timers that go off at virtual times: timerfd, setitimer, alarm, timer_create.

   One thread of the shim sleeps until the first of them. A timerfd is an event counter that this
   thread adds to: reading either gives the number of times it went off. */
#include "timers.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct timer ng_timers[TIMERS];
pthread_mutex_t ng_timers_lock = PTHREAD_MUTEX_INITIALIZER;
static bool running;
static uint32_t changed; /* futex of the thread */

void ng_timers_forget(void) {
  /* A child inherits the counters of timerfds but, as the kernel has it, no other timer. */
  pthread_mutex_init(&ng_timers_lock, NULL);
  running = false;
  for (struct timer *timer = ng_timers; timer < ng_timers + TIMERS; timer++)
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
    info.si_timerid = (int)(timer - ng_timers);
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
  pthread_mutex_lock(&ng_timers_lock);
  for (struct timer *timer = ng_timers; timer < ng_timers + TIMERS; timer++) {
    if (timer->kind == FREE || timer->next == NEVER) continue;
    if (timer->next <= now) go_off(timer, now);
    if (timer->next < first) first = timer->next;
  }
  pthread_mutex_unlock(&ng_timers_lock);
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

struct timer *ng_timer_of_file(int fd) {
  for (struct timer *timer = ng_timers; timer < ng_timers + TIMERS; timer++)
    if (timer->kind == FILE_COUNTER && timer->fd == fd) return timer;
  return NULL;
}

struct timer *ng_timer_new(enum timer_kind kind) {
  for (struct timer *timer = ng_timers; timer < ng_timers + TIMERS; timer++)
    if (timer->kind == FREE) {
      *timer = (struct timer){.kind = kind, .fd = -1, .next = NEVER};
      return timer;
    }
  return NULL;
}

static void tell(const struct timer *timer, uint64_t *left, uint64_t *interval) {
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
  pthread_mutex_lock(&ng_timers_lock);
  bool is = ng_timer_of_file(fd) != NULL;
  pthread_mutex_unlock(&ng_timers_lock);
  return is;
}

void ng_timer_set(struct timer *timer, bool absolute, const struct itimerspec *value,
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

void ng_timer_get(const struct timer *timer, struct itimerspec *out) {
  uint64_t left, interval;
  tell(timer, &left, &interval);
  *out = (struct itimerspec){ng_timespec(interval), ng_timespec(left)};
}

EXPORT int close(int fd) {
  ng_peer_closed(fd);
  if (ng_page != NULL && running) {
    pthread_mutex_lock(&ng_timers_lock);
    struct timer *timer = ng_timer_of_file(fd);
    if (timer != NULL) timer->kind = FREE;
    pthread_mutex_unlock(&ng_timers_lock);
  }
  return (int)ng_syscall(SYS_close, fd);
}
