#include "scene.h"

#include <GL/gl.h>
#include <GL/glx.h>
#include <X11/Xlib.h>

enum { WIDTH = 64, HEIGHT = 48 };

int main(int argc, char **argv) {
  Display *display = XOpenDisplay(NULL);
  if (display == NULL) return 9;
  int wanted[] = {GLX_RGBA, GLX_DOUBLEBUFFER, GLX_RED_SIZE, 8, GLX_GREEN_SIZE, 8, GLX_BLUE_SIZE, 8, None};
  XVisualInfo *visual = glXChooseVisual(display, DefaultScreen(display), wanted);
  Window root = DefaultRootWindow(display);
  XSetWindowAttributes how = {.colormap = XCreateColormap(display, root, visual->visual, AllocNone),
                              .event_mask = KeyPressMask | ExposureMask};
  Window window = XCreateWindow(display, root, 0, 0, WIDTH, HEIGHT, 0, visual->depth, InputOutput,
                                visual->visual, CWColormap | CWEventMask, &how);
  XMapWindow(display, window);
  glXMakeCurrent(display, window, glXCreateContext(display, visual, NULL, True));
  void (*swap)(Display *, GLXDrawable) =
      given(argc, argv, "looked-up")
          ? (void (*)(Display *, GLXDrawable))glXGetProcAddress((const GLubyte *)"glXSwapBuffers")
          : glXSwapBuffers;
  begin(argc, argv);
  for (;;) {
    while (XPending(display)) {
      XEvent event;
      XNextEvent(display, &event);
      if (event.type == KeyPress) numbers[KEYS]++;
    }
    think(argc, argv);
    glDisable(GL_DITHER);
    glEnable(GL_SCISSOR_TEST);
    for (int i = 0; i < NUMBERS; i++) {
      uint32_t n = numbers[i];
      glScissor(i, HEIGHT - 1, 1, 1);
      glClearColor((n >> 16 & 255) / 255.0f, (n >> 8 & 255) / 255.0f, (n & 255) / 255.0f, 1);
      glClear(GL_COLOR_BUFFER_BIT);
    }
    swap(display, window);
  }
}
