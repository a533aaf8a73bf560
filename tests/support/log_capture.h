// SPDX-License-Identifier: MIT
// What a test's doing puts into the log.
#ifndef SUPPORT_LOG_CAPTURE_H
#define SUPPORT_LOG_CAPTURE_H

#include <fcntl.h>
#include <unistd.h>

struct log_capture {
    int saved, file;
    char text[16384];
};

static inline void log_capture_start(struct log_capture *capture)
{
    capture->saved = dup(STDERR_FILENO);
    capture->file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(capture->saved >= 0 && capture->file >= 0);
    assert_true(dup2(capture->file, STDERR_FILENO) >= 0);
}

static inline void log_capture_stop(struct log_capture *capture)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    ssize_t len = pread(capture->file, capture->text, sizeof capture->text - 1, 0);
    capture->text[len > 0 ? len : 0] = '\0';
    close(capture->file);
}

#endif
