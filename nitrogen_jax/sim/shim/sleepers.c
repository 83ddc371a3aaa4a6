/* The threads that wait for a virtual time: a table, the watchdog, and keeping them in step.

   Rules under LOCK:
   - A sleep of the frame thread moves time to its end at once. Other threads wait until it is there.
   - After time has moved, the frame thread goes on only when the sleepers whose time came have
     slept again, or stand somewhere else (quiesce): the thread of the sound stays in step.
   - Where nothing else can run (every other thread rests in the kernel), time moves to the first
     deadline (watchdog). What can run is asked of the kernel and not guessed from real time, or a
     busy machine would change what a game does. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 256
#define WATCHDOG (10 * MILLISECOND)    /* real time in which nothing moved */
#define FRAME_GRACE (1 * MILLISECOND)  /* real time that a timed wait of the frame thread gets */
#define FRAME_PATIENCE (200 * MILLISECOND) /* the same while other threads compute */
#define QUIESCE_WORK (20 * MILLISECOND) /* processor time that a woken thread gets */
#define QUIESCE_LIMIT (2 * SECOND)      /* and real time, on a busy machine */
#define SETTLE_LIMIT (5 * SECOND)
#define QUIESCE_MISSES 8 /* of a thread, after which nobody waits for it any longer */
#define MANY_SLEEPS 32   /* of the frame thread within a frame: it waits for another thread */
#define SHORTEST (20 * MICROSECOND)
#define LONGEST (5 * MILLISECOND)

struct slot {
  pid_t tid; /* 0: free */
  uint32_t waits, asleep, misses;
  uint64_t deadline;
};
static struct slot slots[SLOTS];
static struct slot spare; /* of the threads beyond the table's end: they are not waited for */
static int used; /* slots below which all that were ever taken lie */
static bool spare_used;
static __thread struct slot *own;
static bool external;
static bool waits_for_others; /* the frame thread, in here: it only looks as if it rested */
static uint32_t stirred, stirred_before; /* threads set going of which no slot tells */
static uint64_t sleeps_frame, sleeps_in_frame;

static bool gone(pid_t tid) {
  return ng_syscall(SYS_tgkill, ng_pid(), tid, 0) < 0 && errno == ESRCH;
}

static struct slot *own_slot(void) {
  if (own != NULL && (own == &spare || own->tid == ng_tid())) return own;
  for (int round = 0; round < 2; round++)
    for (struct slot *slot = slots; slot < slots + SLOTS; slot++) {
      pid_t holder = slot->tid;
      /* Slots of ended threads are taken over in the second round. */
      if (holder != 0 && (round == 0 || !gone(holder))) continue;
      if (!__atomic_compare_exchange_n(&slot->tid, &holder, ng_tid(), false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST))
        continue;
      slot->asleep = slot->misses = 0;
      int number = (int)(slot - slots) + 1, before = used;
      while (number > before && !__atomic_compare_exchange_n(&used, &before, number, false,
                                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
      }
      return own = slot;
    }
  spare_used = true;
  return own = &spare;
}

void ng_sleepers_forget(void) {
  memset(slots, 0, sizeof slots);
  used = 0;
  spare_used = false;
  own = NULL;
  external = waits_for_others = false;
}

static void fall_asleep(uint64_t deadline) {
  struct slot *slot = own_slot();
  slot->deadline = deadline;
  __atomic_store_n(&slot->asleep, 1, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&slot->waits, 1, __ATOMIC_SEQ_CST);
}

static void wake_up(void) { __atomic_store_n(&own_slot()->asleep, 0, __ATOMIC_SEQ_CST); }

static bool waits(struct slot *slot) {
  if (slot->tid == 0 || slot == own || !__atomic_load_n(&slot->asleep, __ATOMIC_SEQ_CST))
    return false;
  if (!gone(slot->tid)) return true;
  slot->asleep = 0; /* it was cancelled inside of its wait */
  return false;
}

uint64_t ng_deadline_after(uint64_t time) {
  uint64_t first = NEVER;
  for (struct slot *slot = slots; slot < slots + used; slot++)
    if (slot->deadline > time && slot->deadline < first && slot->misses < QUIESCE_MISSES &&
        waits(slot))
      first = slot->deadline;
  return first;
}

static uint64_t first_deadline(void) {
  uint64_t first = NEVER;
  for (struct slot *slot = slots; slot < slots + used; slot++)
    if (slot->deadline < first && waits(slot)) first = slot->deadline;
  return first;
}

bool ng_anyone_due(uint64_t now) {
  if (NG(attached) > 1 || spare_used) return true; /* of those there is no table here */
  for (struct slot *slot = slots; slot < slots + used; slot++)
    if (slot->deadline <= now && slot->tid != 0 && slot->asleep) return true;
  return false;
}

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
  if (waits_for_others && !ng_is_frame_thread()) return false;
  pid_t game = NG(game_pid);
  return all_rest(ng_pid(), ng_tid()) && (game == 0 || game == ng_pid() || all_rest(game, 0));
}

void ng_stir(void) { __atomic_add_fetch(&stirred, 1, __ATOMIC_SEQ_CST); }

bool ng_stirring(void) { return stirred != stirred_before; }

void ng_set_external(bool waits) { external = waits; }

/* Has this sleeper, whose time has come, dealt with it? */
static bool settled(const struct slot *slot, uint32_t waits) {
  if (__atomic_load_n(&slot->waits, __ATOMIC_SEQ_CST) != waits || slot->tid == 0) return true;
  if (__atomic_load_n(&slot->asleep, __ATOMIC_SEQ_CST)) return false; /* it will wake yet */
  char tid[16];
  snprintf(tid, sizeof tid, "%d", slot->tid);
  char state = ng_thread_state(ng_pid(), tid);
  return state != 'R' && state != 'D';
}

/* Processor time of a thread: one that waits for a busy machine uses none. */
static uint64_t processor_time(pid_t tid) {
  struct timespec time = {0};
  ng_syscall(SYS_clock_gettime, ~(clockid_t)tid << 3 | 6, &time);
  return ng_nanoseconds(&time);
}

static void await(struct slot *slot, uint32_t waits_before, uint64_t began) {
  uint64_t pause = SHORTEST, used_before = processor_time(slot->tid);
  while (!settled(slot, waits_before)) {
    if (gone(slot->tid)) {
      slot->asleep = 0;
      return;
    }
    if (processor_time(slot->tid) - used_before > QUIESCE_WORK ||
        ng_real_now() - began > QUIESCE_LIMIT) {
      slot->misses++;
      __atomic_add_fetch(&NG(late_sleepers), 1, __ATOMIC_RELAXED);
      return;
    }
    ng_real_sleep(pause);
    if (pause < MILLISECOND / 2) pause += SHORTEST;
  }
}

static void await_all(uint64_t began, uint64_t limit) {
  static int misses;
  if (misses >= QUIESCE_MISSES) return;
  for (uint64_t pause = SHORTEST; !ng_others_idle(); pause += SHORTEST) {
    if (ng_real_now() - began > limit) {
      misses++;
      __atomic_add_fetch(&NG(late_sleepers), 1, __ATOMIC_RELAXED);
      return;
    }
    ng_real_sleep(pause < MILLISECOND ? pause : MILLISECOND);
  }
}

/* A thread that is new, or woken by a timer, is not in this table. */
static void await_unknown(uint64_t began) {
  uint32_t now = __atomic_load_n(&stirred, __ATOMIC_SEQ_CST);
  if (now == stirred_before) return;
  stirred_before = now;
  if (!NG(settle)) await_all(began, QUIESCE_LIMIT / 10);
}

void ng_settle(void) {
  if (!NG(settle)) return;
  waits_for_others = true;
  await_all(ng_real_now(), SETTLE_LIMIT);
  waits_for_others = false;
}

void ng_quiesce(uint64_t now) {
  uint32_t waits_before[SLOTS];
  int due[SLOTS], number = 0;
  for (int i = 0; i < used; i++) {
    const struct slot *slot = &slots[i];
    if (slot->tid == 0 || slot == own || slot->misses >= QUIESCE_MISSES) continue;
    waits_before[i] = __atomic_load_n(&slot->waits, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&slot->asleep, __ATOMIC_SEQ_CST) && slot->deadline <= now) due[number++] = i;
  }
  if (number == 0 && stirred == stirred_before) return;
  uint64_t began = ng_real_now();
  waits_for_others = true;
  for (int k = 0; k < number; k++) await(&slots[due[k]], waits_before[due[k]], began);
  await_unknown(began);
  waits_for_others = false;
}

/* A frame thread that sleeps again and again without a frame waits for another thread, which gets
   real time then: virtual time would run far ahead of a level that is being loaded. */
static void give_others_time(uint64_t ns) {
  if (sleeps_frame != NG(frames)) {
    sleeps_frame = NG(frames);
    sleeps_in_frame = 0;
  }
  if (++sleeps_in_frame <= MANY_SLEEPS || ng_others_idle()) return;
  waits_for_others = true;
  ng_real_sleep(ns < LONGEST ? ns : LONGEST);
  waits_for_others = false;
}

static void advance_idle(uint64_t to) {
  __atomic_add_fetch(&NG(idle_advances), 1, __ATOMIC_RELAXED);
  ng_advance(to);
}

static uint64_t scaled(uint64_t virtual_ns) {
  double speed = NG(mode) == NG_REAL ? 1.0 : NG(speed);
  double real = speed > 0.001 ? (double)virtual_ns / speed : (double)LONGEST;
  return real < SHORTEST ? SHORTEST : real > LONGEST ? LONGEST : (uint64_t)real;
}

void ng_wait_begin(struct ng_wait *wait, uint64_t deadline) {
  uint64_t real = ng_real_now();
  *wait = (struct ng_wait){.deadline = deadline,
                           .started = real,
                           .moved = real,
                           .seen = ng_now(),
                           .frame_thread = ng_is_frame_thread()};
  __atomic_add_fetch(&NG(sleeps), 1, __ATOMIC_RELAXED);
  if (!wait->frame_thread) fall_asleep(deadline);
}

void ng_wait_end(void) { wake_up(); }

/* Of a wait of the frame thread: time moves for it when nobody else can end the wait. */
static bool frame_wait_over(struct ng_wait *wait) {
  uint64_t waited = ng_real_now() - wait->started;
  if (waited < FRAME_GRACE) return false;
  if (waited < FRAME_PATIENCE && !ng_others_idle()) return false;
  uint64_t first = first_deadline();
  advance_idle(first < wait->deadline ? first : wait->deadline);
  return ng_now() >= wait->deadline;
}

static bool watchdog(struct ng_wait *wait) {
  if (NG(parked) || ng_real_now() - wait->moved < WATCHDOG) return false;
  wait->moved = ng_real_now();
  ng_forget_dead_game();
  if (first_deadline() < wait->deadline || !ng_others_idle()) return false;
  if (NG(parked) || NG(mode) != NG_LOCK || ng_now() != wait->seen) return false;
  advance_idle(wait->deadline);
  return true;
}

uint64_t ng_wait_slice(struct ng_wait *wait) {
  uint64_t now = ng_now();
  if (now >= wait->deadline) return 0;
  if (NG(mode) != NG_LOCK) return scaled(wait->deadline - now);
  if (wait->frame_thread) return frame_wait_over(wait) ? 0 : FRAME_GRACE / 5;
  if (now != wait->seen) {
    wait->seen = now;
    wait->moved = ng_real_now();
  } else if (watchdog(wait)) {
    return 0;
  }
  /* The frame thread waits for whoever is late to notice that his time has come. */
  uint64_t slice = (wait->deadline - now) / 64, most = NG(parked) ? LONGEST / 5 : LONGEST / 2;
  return slice < 5 * SHORTEST ? 5 * SHORTEST : slice > most ? most : slice;
}

bool ng_sleep_until(uint64_t deadline) {
  if (NG(mode) == NG_LOCK && ng_is_frame_thread()) {
    __atomic_add_fetch(&NG(sleeps), 1, __ATOMIC_RELAXED);
    uint64_t now = ng_now();
    if (deadline > now) {
      give_others_time(deadline - now);
      ng_advance(deadline);
    }
    return true;
  }
  struct ng_wait wait;
  ng_wait_begin(&wait, deadline);
  int error = 0;
  while (error != EINTR) {
    uint32_t word = __atomic_load_n(&NG(grant_word), __ATOMIC_SEQ_CST);
    uint64_t slice = ng_wait_slice(&wait);
    if (slice == 0) break;
    /* Time that moves wakes this futex: only the watchdog needs to look in between. */
    error = ng_futex_wait(&NG(grant_word), word, NG(mode) == NG_LOCK ? LONGEST : slice);
  }
  ng_wait_end();
  return error != EINTR;
}
