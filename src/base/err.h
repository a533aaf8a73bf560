// SPDX-License-Identifier: MIT
// What went wrong, in words, for a person: filled once where the cause is known, passed up
// unchanged, printed once at the top.
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#define ERR_TEXT_MAX 512

struct err {
    char text[ERR_TEXT_MAX]; // NUL-terminated; longer messages are cut
};

// Fills err and returns false, so that a failing function can end with `return err_set(err, …)`.
// err may be NULL: the caller does not care.
bool err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// As err_set, with ": " and strerror(errno) behind it.
bool err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
