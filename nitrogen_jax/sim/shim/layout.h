/* The memory that a controller and a game share: one page of state, then the pixels of a frame.

   shared.py describes the same page for Python and compares it, field by field, with what
   ngsim_layout() tells of the built library. Whoever writes a field is said beside it: the
   controller (C) or the shim inside of the game (G). */
#ifndef NGSIM_LAYOUT_H
#define NGSIM_LAYOUT_H

#include <stdint.h>

#define NG_MAGIC 0x6d69736eu /* "nsim" */
#define NG_VERSION 1u
#define NG_HEADER 4096u /* bytes before the pixels */

#define NG_AXES 6     /* left x, left y, left trigger, right x, right y, right trigger */
#define NG_BUTTONS 15 /* A B X Y, shoulders, back start guide, sticks; d-pad up right down left */

enum ng_mode { NG_REAL = 0, NG_SPEED = 1, NG_LOCK = 2 };
enum ng_format { NG_NOTHING = 0, NG_BGRA = 1, NG_RGBA = 2 };

/* X(type, name, count): padding is written out, so that no compiler adds any. */
#define NG_FIELDS(X)                                                                   \
  X(uint32_t, magic, 1)                                                                \
  X(uint32_t, version, 1)                                                              \
  X(uint32_t, size, 1)            /* C: NG_HEADER */                                   \
  X(uint32_t, mode, 1)            /* C: enum ng_mode */                                \
  X(uint64_t, capacity, 1)        /* C: bytes of pixels */                             \
  X(uint64_t, virtual_ns, 1)      /* LOCK: virtual monotonic time */                   \
  X(uint64_t, anchor_real_ns, 1)  /* C: REAL and SPEED: where both clocks met */       \
  X(uint64_t, anchor_virtual_ns, 1)                                                    \
  X(double, speed, 1)             /* C */                                              \
  X(uint64_t, limit_ns, 1)        /* C: SPEED: virtual time never passes it */         \
  X(uint64_t, epoch_ns, 1)        /* C: virtual wall clock minus virtual monotonic */  \
  X(uint64_t, frame_ns, 1)        /* C: least virtual time of a frame */               \
  X(uint64_t, seed, 1)            /* C */                                              \
  X(uint64_t, granted, 1)         /* C: frame n parks until granted > n */             \
  X(uint64_t, frames, 1)          /* G: frames presented */                            \
  X(uint32_t, frame_word, 1)      /* G: futex, moves with every frame */               \
  X(uint32_t, grant_word, 1)      /* both: futex, moves with grants and time */        \
  X(uint32_t, parked, 1)          /* G: the frame thread waits for a grant */          \
  X(uint32_t, attached, 1)        /* G: processes that ever mapped this page */        \
  X(int32_t, game_pid, 1)         /* G: process that presented last */                 \
  X(int32_t, last_pid, 1)         /* G: process that attached last */                  \
  X(uint32_t, pad_wanted, 1)      /* C */                                              \
  X(uint32_t, pad_attached, 1)    /* G */                                              \
  X(int16_t, axes, NG_AXES)       /* C */                                              \
  X(uint8_t, buttons, NG_BUTTONS) /* C */                                              \
  X(uint8_t, unused, 1)                                                                \
  X(uint32_t, settle, 1)          /* C: wait until all threads rest, at every stop of time */ \
  X(uint32_t, kind, 1)            /* G: which call presented last, enum ng_kind */     \
  X(uint32_t, pixel_word, 1)      /* G: odd while pixels are written */                \
  X(uint32_t, format, 1)          /* G: enum ng_format of the pixels */                \
  X(uint32_t, bottom_up, 1)       /* G */                                              \
  X(uint32_t, width, 1)           /* G */                                              \
  X(uint32_t, height, 1)          /* G */                                              \
  X(uint64_t, captured_frame, 1)  /* G: number of the frame that the pixels show */    \
  X(uint64_t, capture_ns, 1)      /* G: real time of all captures */                   \
  X(uint64_t, present_ns, 1)      /* G: real time inside of the real present calls */  \
  X(uint64_t, clock_reads, 1)     /* G */                                              \
  X(uint64_t, sleeps, 1)          /* G */                                              \
  X(uint64_t, idle_advances, 1)   /* G: watchdog: nothing could move but time */       \
  X(uint64_t, spin_advances, 1)   /* G: a thread read the clock until it moves */      \
  X(uint64_t, late_sleepers, 1)   /* G: threads that were not waited for any longer */ \
  X(uint64_t, timers, 1)          /* G: timers that went off */                        \
  X(uint64_t, pad_polls, 1)       /* G */                                              \
  X(uint64_t, too_large, 1)       /* G: frames that did not fit into the pixels */

enum ng_kind {
  NG_NONE = 0,
  NG_SDL2_GL = 1,
  NG_SDL2_RENDERER = 2,
  NG_SDL2_SURFACE = 3,
  NG_GLX = 4,
  NG_EGL = 5,
  NG_SDL1_SURFACE = 6,
  NG_SDL1_GL = 7,
  NG_VULKAN = 8,
};

#define NG_DECLARE(type, name, count) type name[count];
/* Arrays of one, so that one rule declares all; NG(x) reads as a plain field. */
struct ng_page {
  NG_FIELDS(NG_DECLARE)
};
#define NG(name) (ng_page->name[0])
#define NG_PIXELS ((uint8_t *)ng_page + NG_HEADER)

_Static_assert(sizeof(struct ng_page) <= NG_HEADER, "the state fits into its page");

#endif
