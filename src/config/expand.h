// SPDX-License-Identifier: MIT
// The right side of `key = …`, from the bytes in the file to the text that is meant: comment cut
// off, quotes taken away, ${NAME} replaced. It does not know what the key is; its errors never show
// a value.
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include "base/buf.h"
#include "base/err.h"

#define VALUE_MAX 65536 // behind replacement

// raw: without white space at both ends. Appends to out.
bool expand_value(struct str raw, struct buf *out, struct err *err) WARN_UNUSED;
// The comment behind the value, without its ';'; empty if there is none.
struct str expand_comment(struct str raw);

#endif
