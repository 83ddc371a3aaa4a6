/* Tells the controller how this library understands the shared page. */
#include "shim.h"

struct field {
  const char *name;
  size_t offset, bytes, count; /* bytes: of one of `count` */
};
#define TELL(type, name, count) {#name, offsetof(struct ng_page, name), sizeof(type), count},

/* All fields in order, then one without a name, at the offset of the page's end. */
EXPORT const struct field *ngsim_layout(uint32_t *magic, uint32_t *version, uint32_t *header);
EXPORT const struct field *ngsim_layout(uint32_t *magic, uint32_t *version, uint32_t *header) {
  static const struct field fields[] = {NG_FIELDS(TELL){NULL, sizeof(struct ng_page), 0, 0}};
  *magic = NG_MAGIC;
  *version = NG_VERSION;
  *header = NG_HEADER;
  return fields;
}
