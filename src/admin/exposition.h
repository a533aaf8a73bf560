// SPDX-License-Identifier: MIT
// Prometheus' text format, version 0.0.4, written into a buffer. Knows no metric.
#ifndef ADMIN_EXPOSITION_H
#define ADMIN_EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/stats.h"

#define EXPOSITION_LABELS 6

struct exposition_label {
    const char *name; // NULL ends the list
    const char *value;
};

struct exposition {
    struct buf *out;
    const char *family;
    // Those of the samples that follow.
    struct exposition_label labels[EXPOSITION_LABELS + 1];
    bool has_failed;
};

void exposition_init(struct exposition *exposition, struct buf *out);
// kind: "counter", "gauge" or "histogram".
void exposition_family(struct exposition *exposition, const char *name, const char *kind,
                       const char *help);
// Takes the place of label i; name NULL: the labels end before it. An empty value is none.
void exposition_label(struct exposition *exposition, size_t i, const char *name, const char *value);
void exposition_number(struct exposition *exposition, uint64_t value);
void exposition_seconds_us(struct exposition *exposition, int64_t microseconds);
// Observations in microseconds, told in seconds; within a family of that kind.
void exposition_histogram(struct exposition *exposition, const struct histogram *histogram);

#endif
