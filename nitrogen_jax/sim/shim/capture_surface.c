/* Copies a surface in memory, of any common pixel layout, as BGRA. */
#include "shim.h"

#include <string.h>

static uint8_t channel(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  int shift = __builtin_ctz(mask);
  uint32_t most = mask >> shift;
  return (uint8_t)(((pixel & mask) >> shift) * 255u / most);
}

static uint32_t pixel_at(const struct ng_surface *surface, const uint8_t *at) {
  uint32_t pixel = 0;
  memcpy(&pixel, at, (size_t)surface->bytes);
  return pixel;
}

static void convert_row(const struct ng_surface *surface, const uint8_t *in, uint8_t *out) {
  for (int x = 0; x < surface->width; x++, in += surface->bytes, out += 4) {
    uint32_t pixel = pixel_at(surface, in);
    if (surface->palette != NULL) {
      const uint8_t *colour = surface->palette + 4 * (pixel < (uint32_t)surface->colours ? pixel : 0);
      out[0] = colour[2];
      out[1] = colour[1];
      out[2] = colour[0];
    } else {
      out[0] = channel(pixel, surface->blue);
      out[1] = channel(pixel, surface->green);
      out[2] = channel(pixel, surface->red);
    }
    out[3] = 255;
  }
}

void ng_capture_surface(const struct ng_surface *surface) {
  if (surface->pixels == NULL || surface->bytes < 1 || surface->bytes > 4) return;
  if (!ng_pixels_fit(surface->width, surface->height)) return;
  uint64_t began = ng_begin_pixels();
  size_t row = (size_t)surface->width * 4;
  bool same = surface->bytes == 4 && surface->red == 0xff0000 && surface->blue == 0xff;
  for (int y = 0; y < surface->height; y++) {
    const uint8_t *in = surface->pixels + (size_t)y * (size_t)surface->pitch;
    if (same)
      memcpy(NG_PIXELS + y * row, in, row);
    else
      convert_row(surface, in, NG_PIXELS + y * row);
  }
  ng_end_pixels(began, surface->width, surface->height, NG_BGRA, false);
}
