/* The frame boundary: a frame was presented; under LOCK its thread parks until one more is granted.

   A hook of a present call does: ng_enter, capture if ng_wants_pixels, the real call, ng_boundary,
   ng_leave. Libraries present through each other: only the outermost call counts. */
#include "shim.h"

#include <pthread.h>

static __thread bool inside;
static __thread uint64_t present_began;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

bool ng_enter(void) {
  if (!ng_active() || inside) return false;
  inside = true;
  present_began = ng_real_now();
  return true;
}

void ng_leave(void) { inside = false; }

/* The thread that parks holds the lock, and no child of a fork has that thread. */
void ng_boundary_forget(void) { pthread_mutex_init(&one_at_a_time, NULL); }

/* Under LOCK, of the frames of one grant only the last is looked at. */
bool ng_wants_pixels(void) {
  return NG(mode) != NG_LOCK || NG(frames) + 1 >= __atomic_load_n(&NG(granted), __ATOMIC_SEQ_CST);
}

bool ng_pixels_fit(int width, int height) {
  if (width > 0 && height > 0 && (uint64_t)width * (uint64_t)height * 4 <= NG(capacity)) return true;
  __atomic_add_fetch(&NG(too_large), 1, __ATOMIC_RELAXED);
  return false;
}

uint64_t ng_begin_pixels(void) {
  __atomic_or_fetch(&NG(pixel_word), 1, __ATOMIC_SEQ_CST);
  return ng_real_now();
}

void ng_end_pixels(uint64_t began, int width, int height, enum ng_format format, bool bottom_up) {
  NG(width) = (uint32_t)width;
  NG(height) = (uint32_t)height;
  NG(format) = format;
  NG(bottom_up) = bottom_up;
  NG(captured_frame) = NG(frames) + 1;
  NG(capture_ns) += ng_real_now() - began;
  present_began = ng_real_now();
  __atomic_add_fetch(&NG(pixel_word), 1, __ATOMIC_SEQ_CST);
}

static void park(void) {
  ng_settle();
  static uint64_t last; /* the virtual display's last refresh */
  uint64_t now = ng_now(), next = last + NG(frame_ns);
  if (last == 0 || next > now + NG(frame_ns)) next = now + NG(frame_ns);
  if (next < now) next = now;
  __atomic_store_n(&NG(parked), 1, __ATOMIC_SEQ_CST);
  ng_futex_wake(&NG(frame_word));
  for (;;) {
    uint32_t word = __atomic_load_n(&NG(grant_word), __ATOMIC_SEQ_CST);
    if (NG(mode) != NG_LOCK) break;
    if (__atomic_load_n(&NG(granted), __ATOMIC_SEQ_CST) > NG(frames)) break;
    ng_futex_wait(&NG(grant_word), word, 0);
  }
  __atomic_store_n(&NG(parked), 0, __ATOMIC_SEQ_CST);
  last = next;
  if (NG(mode) == NG_LOCK) ng_advance(next);
}

void ng_boundary(enum ng_kind kind) {
  NG(present_ns) += ng_real_now() - present_began;
  pthread_mutex_lock(&one_at_a_time);
  ng_become_frame_thread();
  NG(kind) = kind;
  __atomic_add_fetch(&NG(frames), 1, __ATOMIC_SEQ_CST);
  if (NG(mode) == NG_LOCK)
    park();
  else
    ng_futex_wake(&NG(frame_word));
  ng_reset_spin();
  pthread_mutex_unlock(&one_at_a_time);
  ng_pad_push();
}
