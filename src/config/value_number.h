// SPDX-License-Identifier: MIT
// Values that are a quantity: numbers, sizes, durations, permission bits, moments. Text to number
// and back.
#ifndef CONFIG_VALUE_NUMBER_H
#define CONFIG_VALUE_NUMBER_H

#include "base/buf.h"
#include "config/settings.h"

bool value_number(const struct setting *setting, struct str text, uint64_t *out,
                  struct err *err) WARN_UNUSED;
// 2030-01-31T12:00:00Z (RFC 3339, UTC) or seconds since the epoch; never 0.
bool value_time(struct str text, int64_t *out, struct err *err) WARN_UNUSED;
// As it would be written in a file: 90000 -> "90s". out has room for 32 bytes.
void value_number_text(enum setting_type type, uint64_t value, char *out);

#endif
