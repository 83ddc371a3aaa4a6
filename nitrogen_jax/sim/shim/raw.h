/* System calls past the C library: `syscall` itself is interposed, because some languages' libraries
   (Rust's) wait and read clocks through it. */
#ifndef NGSIM_RAW_H
#define NGSIM_RAW_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__LP64__)
#define NG_RAW 1
static inline long ng_raw(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
#define NG_RAW 1
static inline long ng_raw(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
#endif

#ifdef NG_RAW
/* Sets errno and returns -1 on an error, as the C library's does. */
static inline long ng_checked(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}
#define NG_ARGUMENTS(n, a, b, c, d, e, f, ...) \
  (long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)
#define ng_syscall(...) ng_checked(ng_raw(NG_ARGUMENTS(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)))
#else
#define ng_syscall syscall
#endif

#endif
