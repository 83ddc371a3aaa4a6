/* Frame boundaries of programs that use GLX or EGL themselves. */
#include "shim.h"

#define GLX_WIDTH 0x801D
#define GLX_HEIGHT 0x801E
#define EGL_HEIGHT 0x3056
#define EGL_WIDTH 0x3057
#define FROM(library, type, name) static type real_##name; \
  if (real_##name == NULL) real_##name = (type)ng_find(library, #name)

typedef void (*function)(void);

static void capture_glx(void *display, unsigned long drawable) {
  typedef void (*type)(void *, unsigned long, int, unsigned *);
  FROM("libGL", type, glXQueryDrawable);
  unsigned width = 0, height = 0;
  if (real_glXQueryDrawable == NULL) return;
  real_glXQueryDrawable(display, drawable, GLX_WIDTH, &width);
  real_glXQueryDrawable(display, drawable, GLX_HEIGHT, &height);
  ng_capture_gl((int)width, (int)height);
}

EXPORT void glXSwapBuffers(void *display, unsigned long drawable) {
  typedef void (*type)(void *, unsigned long);
  FROM("libGL", type, glXSwapBuffers);
  bool counts = ng_enter();
  if (counts && ng_wants_pixels()) capture_glx(display, drawable);
  real_glXSwapBuffers(display, drawable);
  if (counts) {
    ng_boundary(NG_GLX);
    ng_leave();
  }
}

static void capture_egl(void *display, void *surface) {
  typedef unsigned (*type)(void *, void *, int, int *);
  FROM("libEGL", type, eglQuerySurface);
  int width = 0, height = 0;
  if (real_eglQuerySurface == NULL) return;
  real_eglQuerySurface(display, surface, EGL_WIDTH, &width);
  real_eglQuerySurface(display, surface, EGL_HEIGHT, &height);
  ng_capture_gl(width, height);
}

EXPORT unsigned eglSwapBuffers(void *display, void *surface) {
  typedef unsigned (*type)(void *, void *);
  FROM("libEGL", type, eglSwapBuffers);
  if (!ng_enter()) return real_eglSwapBuffers(display, surface);
  if (ng_wants_pixels()) capture_egl(display, surface);
  unsigned result = real_eglSwapBuffers(display, surface);
  ng_boundary(NG_EGL);
  ng_leave();
  return result;
}

/* Extensions, which are only to be had through eglGetProcAddress. The damaged part is a hint. */
static unsigned swap_damaged(void *display, void *surface, const int *rectangles, int number) {
  (void)rectangles;
  (void)number;
  return eglSwapBuffers(display, surface);
}

static int64_t swap_at(void *display, unsigned long drawable, int64_t target, int64_t divisor,
                       int64_t remainder) {
  (void)target;
  (void)divisor;
  (void)remainder;
  glXSwapBuffers(display, drawable);
  return 0;
}

static void *extension(const char *name) {
  static const struct {
    const char *name;
    void *function;
  } ours[] = {{"eglSwapBuffersWithDamageKHR", (void *)swap_damaged},
              {"eglSwapBuffersWithDamageEXT", (void *)swap_damaged},
              {"glXSwapBuffersMscOML", (void *)swap_at}};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (__builtin_strcmp(ours[i].name, name) == 0) return ours[i].function;
  return NULL;
}

static function replaced(const char *name, function real) {
  if (real == NULL || !ng_active()) return real;
  void *ours = extension(name);
  if (ours == NULL) ours = ng_hook(name);
  return ours != NULL ? (function)ours : real;
}

typedef function (*lookup_type)(const char *);

EXPORT function eglGetProcAddress(const char *name) {
  FROM("libEGL", lookup_type, eglGetProcAddress);
  return replaced(name, real_eglGetProcAddress(name));
}

EXPORT function glXGetProcAddress(const char *name) {
  FROM("libGL", lookup_type, glXGetProcAddress);
  return replaced(name, real_glXGetProcAddress(name));
}

EXPORT function glXGetProcAddressARB(const char *name) {
  FROM("libGL", lookup_type, glXGetProcAddressARB);
  return replaced(name, real_glXGetProcAddressARB(name));
}
