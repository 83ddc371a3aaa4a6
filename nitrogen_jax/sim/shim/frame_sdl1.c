/* Frame boundaries of SDL 1.2. Its newer implementation draws through SDL 2, whose hooks serve. */
#include "shim.h"

#define SDL1 "libSDL-1.2"
#define SDL(type, name) static type real_##name; \
  if (real_##name == NULL) real_##name = (type)ng_find(SDL1, #name)
#define GL_VIEWPORT 0x0BA2

struct palette { int colours; const uint8_t *rgbx; };
struct format {
  const struct palette *palette;
  uint8_t bits, bytes, losses[4], shifts[4];
  uint32_t red, green, blue, alpha, key;
};
struct surface {
  uint32_t flags;
  const struct format *format;
  int w, h;
  uint16_t pitch;
  const void *pixels;
};

static bool enter(void) { return !ng_sdl1_is_sdl2() && ng_enter(); }

static void capture(const struct surface *s) {
  if (s == NULL || !ng_wants_pixels()) return;
  const struct format *f = s->format;
  bool indexed = f->bytes == 1 && f->palette != NULL;
  ng_capture_surface(&(struct ng_surface){
      .pixels = s->pixels, .width = s->w, .height = s->h, .pitch = s->pitch, .bytes = f->bytes,
      .red = f->red, .green = f->green, .blue = f->blue,
      .palette = indexed ? f->palette->rgbx : NULL, .colours = indexed ? f->palette->colours : 0});
}

EXPORT int SDL_Flip(struct surface *screen) {
  typedef int (*type)(struct surface *);
  SDL(type, SDL_Flip);
  if (!enter()) return real_SDL_Flip(screen);
  capture(screen);
  int result = real_SDL_Flip(screen);
  ng_boundary(NG_SDL1_SURFACE);
  ng_leave();
  return result;
}

EXPORT void SDL_UpdateRects(struct surface *screen, int number, void *rectangles) {
  typedef void (*type)(struct surface *, int, void *);
  SDL(type, SDL_UpdateRects);
  bool counts = enter();
  if (counts) capture(screen);
  real_SDL_UpdateRects(screen, number, rectangles);
  if (counts) {
    ng_boundary(NG_SDL1_SURFACE);
    ng_leave();
  }
}

EXPORT void SDL_UpdateRect(struct surface *screen, int32_t x, int32_t y, uint32_t w, uint32_t h) {
  typedef void (*type)(struct surface *, int32_t, int32_t, uint32_t, uint32_t);
  SDL(type, SDL_UpdateRect);
  bool counts = enter();
  if (counts) capture(screen);
  real_SDL_UpdateRect(screen, x, y, w, h);
  if (counts) {
    ng_boundary(NG_SDL1_SURFACE);
    ng_leave();
  }
}

/* SDL 1.2 knows one window: what the game draws on is as large as it. */
static void capture_viewport(void) {
  typedef void (*type)(unsigned, int *);
  static type get;
  int viewport[4] = {0};
  if (get == NULL) get = (type)ng_find("libGL.so", "glGetIntegerv");
  if (get == NULL) return;
  get(GL_VIEWPORT, viewport);
  ng_capture_gl(viewport[2], viewport[3]);
}

EXPORT void SDL_GL_SwapBuffers(void) {
  typedef void (*type)(void);
  SDL(type, SDL_GL_SwapBuffers);
  bool counts = enter();
  if (counts && ng_wants_pixels()) capture_viewport();
  real_SDL_GL_SwapBuffers();
  if (counts) {
    ng_boundary(NG_SDL1_GL);
    ng_leave();
  }
}
