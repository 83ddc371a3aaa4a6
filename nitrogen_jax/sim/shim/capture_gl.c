/* Reads the back buffer of the current OpenGL or OpenGL ES context, before it is presented. */
#include "shim.h"

#include <dlfcn.h>
#include <string.h>

#define GL_VERSION 0x1F02
#define GL_BACK 0x0405
#define GL_UNSIGNED_BYTE 0x1401
#define GL_RGBA 0x1908
#define GL_BGRA 0x80E1
#define GL_READ_BUFFER 0x0C02
#define GL_PACK_ROW_LENGTH 0x0D02
#define GL_PACK_SKIP_ROWS 0x0D03
#define GL_PACK_SKIP_PIXELS 0x0D04
#define GL_PACK_ALIGNMENT 0x0D05
#define GL_PIXEL_PACK_BUFFER 0x88EB
#define GL_PIXEL_PACK_BUFFER_BINDING 0x88ED
#define GL_FRAMEBUFFER 0x8D40
#define GL_FRAMEBUFFER_BINDING 0x8CA6
#define GL_READ_FRAMEBUFFER 0x8CA8
#define GL_READ_FRAMEBUFFER_BINDING 0x8CAA

static struct {
  void (*ReadPixels)(int, int, int, int, unsigned, unsigned, void *);
  void (*GetIntegerv)(unsigned, int *);
  void (*PixelStorei)(unsigned, int);
  void (*ReadBuffer)(unsigned);
  void (*BindFramebuffer)(unsigned, unsigned);
  void (*BindBuffer)(unsigned, unsigned);
  unsigned (*GetError)(void);
  const char *(*GetString)(unsigned);
} gl;

static void *find(const char *name) {
  static const char *const libraries[] = {"libGL.so", "libOpenGL.so", "libGLESv2.so"};
  void *found = ng_real_dlsym(RTLD_DEFAULT, name);
  for (size_t i = 0; found == NULL && i < sizeof libraries / sizeof *libraries; i++) {
    void *library = ng_library(libraries[i]);
    if (library != NULL) found = ng_real_dlsym(library, name);
  }
  return found;
}

static bool load(void) {
  if (gl.ReadPixels == NULL) {
#define FIND(name) *(void **)&gl.name = find("gl" #name)
    FIND(GetIntegerv);
    FIND(PixelStorei);
    FIND(ReadBuffer);
    FIND(BindFramebuffer);
    FIND(BindBuffer);
    FIND(GetError);
    FIND(GetString);
    FIND(ReadPixels);
  }
  return gl.ReadPixels && gl.GetIntegerv && gl.PixelStorei && gl.GetError && gl.GetString;
}

static int get(unsigned name) {
  int value = 0;
  gl.GetIntegerv(name, &value);
  return value;
}

void ng_capture_gl(int width, int height) {
  if (!load() || !ng_pixels_fit(width, height)) return;
  const char *version = gl.GetString(GL_VERSION);
  if (version == NULL) return; /* no context */
  bool es = strncmp(version, "OpenGL ES", 9) == 0;
  if (es) version += strcspn(version, "0123456789");
  bool modern = version[0] >= '3'; /* separate bindings for reading, buffers, row lengths */
  uint64_t began = ng_begin_pixels();

  unsigned target = modern ? GL_READ_FRAMEBUFFER : GL_FRAMEBUFFER;
  bool framebuffers = gl.BindFramebuffer != NULL && (modern || es);
  bool buffers = gl.BindBuffer != NULL && modern;
  bool choice = gl.ReadBuffer != NULL && (modern || !es);
  int framebuffer = framebuffers ? get(modern ? GL_READ_FRAMEBUFFER_BINDING : GL_FRAMEBUFFER_BINDING) : 0;
  if (framebuffer) gl.BindFramebuffer(target, 0);
  int buffer = buffers ? get(GL_PIXEL_PACK_BUFFER_BINDING) : 0;
  if (buffer) gl.BindBuffer(GL_PIXEL_PACK_BUFFER, 0);
  int source = choice ? get(GL_READ_BUFFER) : GL_BACK;
  if (source != GL_BACK) gl.ReadBuffer(GL_BACK);
  static const unsigned layouts[] = {GL_PACK_ROW_LENGTH, GL_PACK_SKIP_ROWS, GL_PACK_SKIP_PIXELS};
  int layout[3] = {0}, alignment = get(GL_PACK_ALIGNMENT);
  for (int i = 0; i < 3 && (modern || !es); i++) {
    layout[i] = get(layouts[i]);
    if (layout[i]) gl.PixelStorei(layouts[i], 0);
  }
  if (alignment != 4) gl.PixelStorei(GL_PACK_ALIGNMENT, 4);

  gl.ReadPixels(0, 0, width, height, es ? GL_RGBA : GL_BGRA, GL_UNSIGNED_BYTE, NG_PIXELS);

  if (alignment != 4) gl.PixelStorei(GL_PACK_ALIGNMENT, alignment);
  for (int i = 0; i < 3; i++)
    if (layout[i]) gl.PixelStorei(layouts[i], layout[i]);
  if (source != GL_BACK) gl.ReadBuffer((unsigned)source);
  if (buffer) gl.BindBuffer(GL_PIXEL_PACK_BUFFER, (unsigned)buffer);
  if (framebuffer) gl.BindFramebuffer(target, (unsigned)framebuffer);
  /* What one of these calls did not know must not look like an error of the game. */
  for (int i = 0; i < 8 && gl.GetError() != 0; i++) {
  }
  ng_end_pixels(began, width, height, es ? NG_RGBA : NG_BGRA, true);
}
