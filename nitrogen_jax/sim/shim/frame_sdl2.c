/* Frame boundaries of SDL 2: OpenGL windows, renderers, window surfaces. */
#include "shim.h"

#include <string.h>

#define ARGB8888 372645892u
#define SDL2 "libSDL2"
#define SDL(type, name) static type real_##name; \
  if (real_##name == NULL) real_##name = (type)ng_find(SDL2, #name)

struct rectangle { int x, y, w, h; };
/* The heads of SDL_Surface, SDL_PixelFormat and SDL_Palette, which SDL 2 never changes. */
struct palette { int colours; const uint8_t *rgba; };
struct format {
  uint32_t format;
  const struct palette *palette;
  uint8_t bits, bytes, padding[2];
  uint32_t red, green, blue, alpha;
};
struct surface {
  uint32_t flags;
  const struct format *format;
  int w, h, pitch;
  const void *pixels;
};

EXPORT void SDL_GL_SwapWindow(void *window) {
  typedef void (*type)(void *);
  typedef void (*size_type)(void *, int *, int *);
  SDL(type, SDL_GL_SwapWindow);
  if (!ng_enter()) {
    real_SDL_GL_SwapWindow(window);
    return;
  }
  if (ng_wants_pixels()) {
    int width = 0, height = 0;
    SDL(size_type, SDL_GL_GetDrawableSize);
    if (real_SDL_GL_GetDrawableSize != NULL) real_SDL_GL_GetDrawableSize(window, &width, &height);
    ng_capture_gl(width, height);
  }
  real_SDL_GL_SwapWindow(window);
  ng_boundary(NG_SDL2_GL);
  ng_leave();
}

/* All of the target, whatever part of it the game draws on at the moment. */
static void capture_renderer(void *renderer) {
  typedef int (*read_type)(void *, const struct rectangle *, uint32_t, void *, int);
  typedef int (*size_type)(void *, int *, int *);
  typedef void *(*target_type)(void *);
  typedef int (*set_target_type)(void *, void *);
  typedef void (*get_viewport_type)(void *, struct rectangle *);
  typedef int (*set_viewport_type)(void *, const struct rectangle *);
  SDL(read_type, SDL_RenderReadPixels);
  SDL(size_type, SDL_GetRendererOutputSize);
  SDL(target_type, SDL_GetRenderTarget);
  SDL(set_target_type, SDL_SetRenderTarget);
  SDL(size_type, SDL_RenderGetLogicalSize);
  SDL(get_viewport_type, SDL_RenderGetViewport);
  SDL(set_viewport_type, SDL_RenderSetViewport);
  if (!real_SDL_RenderReadPixels || !real_SDL_GetRendererOutputSize) return;
  void *target = real_SDL_GetRenderTarget(renderer);
  if (target != NULL) real_SDL_SetRenderTarget(renderer, NULL);
  int logical = 0, unused, width = 0, height = 0;
  /* It returns nothing, but that is no matter in any calling convention. */
  real_SDL_RenderGetLogicalSize(renderer, &logical, &unused);
  real_SDL_GetRendererOutputSize(renderer, &width, &height);
  struct rectangle all = {0, 0, width, height}, viewport = all;
  real_SDL_RenderGetViewport(renderer, &viewport);
  bool part = memcmp(&all, &viewport, sizeof all) != 0;
  if (part && logical == 0) real_SDL_RenderSetViewport(renderer, NULL);
  if (ng_pixels_fit(width, height)) {
    uint64_t began = ng_begin_pixels();
    /* Under a logical size, what lies outside of the viewport is the border: black. */
    if (part && logical != 0) memset(NG_PIXELS, 0, (size_t)width * (size_t)height * 4);
    int failed = real_SDL_RenderReadPixels(renderer, &all, ARGB8888, NG_PIXELS, width * 4);
    ng_end_pixels(began, width, height, failed ? NG_NOTHING : NG_BGRA, false);
  }
  if (part && logical == 0) real_SDL_RenderSetViewport(renderer, &viewport);
  if (target != NULL) real_SDL_SetRenderTarget(renderer, target);
}

EXPORT void SDL_RenderPresent(void *renderer) {
  typedef void (*type)(void *);
  SDL(type, SDL_RenderPresent);
  if (!ng_enter()) {
    real_SDL_RenderPresent(renderer);
    return;
  }
  if (ng_wants_pixels()) capture_renderer(renderer);
  real_SDL_RenderPresent(renderer);
  ng_boundary(NG_SDL2_RENDERER);
  ng_leave();
}

static void capture_window(void *window) {
  typedef const struct surface *(*type)(void *);
  SDL(type, SDL_GetWindowSurface);
  const struct surface *s = real_SDL_GetWindowSurface ? real_SDL_GetWindowSurface(window) : NULL;
  if (s == NULL) return;
  const struct format *f = s->format;
  ng_capture_surface(&(struct ng_surface){
      .pixels = s->pixels, .width = s->w, .height = s->h, .pitch = s->pitch, .bytes = f->bytes,
      .red = f->red, .green = f->green, .blue = f->blue,
      .palette = f->palette ? f->palette->rgba : NULL,
      .colours = f->palette ? f->palette->colours : 0});
}

EXPORT int SDL_UpdateWindowSurface(void *window) {
  typedef int (*type)(void *);
  SDL(type, SDL_UpdateWindowSurface);
  if (!ng_enter()) return real_SDL_UpdateWindowSurface(window);
  if (ng_wants_pixels()) capture_window(window);
  int result = real_SDL_UpdateWindowSurface(window);
  ng_boundary(NG_SDL2_SURFACE);
  ng_leave();
  return result;
}

EXPORT int SDL_UpdateWindowSurfaceRects(void *window, const void *rectangles, int number) {
  typedef int (*type)(void *, const void *, int);
  SDL(type, SDL_UpdateWindowSurfaceRects);
  if (!ng_enter()) return real_SDL_UpdateWindowSurfaceRects(window, rectangles, number);
  if (ng_wants_pixels()) capture_window(window);
  int result = real_SDL_UpdateWindowSurfaceRects(window, rectangles, number);
  ng_boundary(NG_SDL2_SURFACE);
  ng_leave();
  return result;
}
