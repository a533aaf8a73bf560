// SPDX-License-Identifier: MIT
// Text in which %{env:NAME}, %{file:PATH} and %{credential:NAME} stand for secrets: cut into pieces
// here, filled in by whoever sends it. What it says is never shown.
#ifndef CONFIG_TEMPLATE_H
#define CONFIG_TEMPLATE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

// The next %{REFERENCE} of *rest, which moves behind it. *out_before: the text before it. False:
// there is none any more, and *out_before is the whole rest.
bool template_next(struct str *rest, struct str *out_before, struct str *out_reference) WARN_UNUSED;

// A copy in which relative paths count from the folder of `file`. NULL: a reference that is none,
// or a variable that is not set.
char *template_new(const char *file, struct str text, struct err *err) WARN_UNUSED;

#endif
