// SPDX-License-Identifier: MIT
// One setting's value: from text to the field it belongs in, and out of memory again. It knows the
// types of the table and one value at a time; what values mean together is check.c's.
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"
#include "config/settings.h"

// object: the struct that setting->offset counts from. place.file: what relative paths count from.
bool value_set(const struct setting *setting, void *object, struct config_place place,
               struct str text, struct err *err) WARN_UNUSED;
// An empty value of a text, list, URL or file means "not set": ${CA_FILE:-} can be left empty.
bool value_is_unset(const struct setting *setting, struct str text);
void value_fini(const struct setting *setting, void *object);

// "yes or no", "a duration from 100ms to 10m": for messages and documents. Appends to out.
void value_describe(const struct setting *setting, struct buf *out);

// A secret's reference in which a relative path counts from the folder of `file`.
char *value_secret_reference(const char *file, struct str text) WARN_UNUSED;

void strings_add(struct config_strings *strings, char *taken);
void strings_fini(struct config_strings *strings);

#endif
