/* OpenGL ES 2 on a pixel buffer: no window system at all. */
#include "scene.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GLES2/gl2.h>

enum { WIDTH = 64, HEIGHT = 48 };

int main(int argc, char **argv) {
  EGLDisplay display = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, NULL, NULL);
  if (!eglInitialize(display, NULL, NULL)) return 9;
  eglBindAPI(EGL_OPENGL_ES_API);
  EGLint wanted[] = {EGL_SURFACE_TYPE, EGL_PBUFFER_BIT, EGL_RENDERABLE_TYPE, EGL_OPENGL_ES2_BIT,
                     EGL_RED_SIZE, 8, EGL_GREEN_SIZE, 8, EGL_BLUE_SIZE, 8, EGL_NONE};
  EGLint version[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE};
  EGLint size[] = {EGL_WIDTH, WIDTH, EGL_HEIGHT, HEIGHT, EGL_NONE};
  EGLConfig config;
  EGLint found;
  if (!eglChooseConfig(display, wanted, &config, 1, &found) || found < 1) return 8;
  EGLSurface surface = eglCreatePbufferSurface(display, config, size);
  eglMakeCurrent(display, surface, surface, eglCreateContext(display, config, NULL, version));
  begin(argc, argv);
  for (;;) {
    think(argc, argv);
    glEnable(GL_SCISSOR_TEST);
    for (int i = 0; i < NUMBERS; i++) {
      uint32_t n = numbers[i];
      glScissor(i, HEIGHT - 1, 1, 1);
      glClearColor((n >> 16 & 255) / 255.0f, (n >> 8 & 255) / 255.0f, (n & 255) / 255.0f, 1);
      glClear(GL_COLOR_BUFFER_BIT);
    }
    if (glGetError() != GL_NO_ERROR) return 7;
    eglSwapBuffers(display, surface);
    if (glGetError() != GL_NO_ERROR) return 6; /* of whoever read the frame */
  }
}
